// Passkeys: asks the browser for one and sends what it says. Forms say what they want by data attributes:
// data-passkey="create" | "get" | "log-in"; data-options: what the server asks for, as JSON (log-in fetches it).
"use strict";

const passkeyBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const passkeyText = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const withBytes = (list) => (list || []).map((one) => ({ ...one, id: passkeyBytes(one.id) }));

function optionsForCreating(options, alone) {
  const asked = options.publicKey;
  return { publicKey: {
    ...asked,
    challenge: passkeyBytes(asked.challenge),
    user: { ...asked.user, id: passkeyBytes(asked.user.id) },
    excludeCredentials: withBytes(asked.excludeCredentials),
    authenticatorSelection: {
      ...asked.authenticatorSelection,
      residentKey: alone ? "required" : "discouraged",
      requireResidentKey: alone,
      userVerification: alone ? "required" : "preferred",
    },
  } };
}

function optionsForGetting(options) {
  const asked = options.publicKey;
  return { publicKey: {
    ...asked, challenge: passkeyBytes(asked.challenge), allowCredentials: withBytes(asked.allowCredentials),
  } };
}

function answerOf(credential) {
  const from = credential.response;
  const response = { clientDataJSON: passkeyText(from.clientDataJSON) };
  if (from.attestationObject) {
    response.attestationObject = passkeyText(from.attestationObject);
    response.transports = from.getTransports ? from.getTransports() : [];
  } else {
    response.authenticatorData = passkeyText(from.authenticatorData);
    response.signature = passkeyText(from.signature);
    if (from.userHandle) response.userHandle = passkeyText(from.userHandle);
  }
  return {
    id: credential.id,
    rawId: passkeyText(credential.rawId),
    type: credential.type,
    response,
    authenticatorAttachment: credential.authenticatorAttachment || null,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

async function askBrowser(form) {
  if (form.dataset.passkey === "create") {
    const alone = form.elements.passwordless ? form.elements.passwordless.checked : false;
    return navigator.credentials.create(optionsForCreating(JSON.parse(form.dataset.options), alone));
  }
  let options = form.dataset.options && JSON.parse(form.dataset.options);
  if (form.dataset.passkey === "log-in") {
    const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.status === 429 ? "Too many attempts. Wait a minute." : "The site does not answer.");
    options = (await answer.json()).request_options;
  }
  return navigator.credentials.get(optionsForGetting(options));
}

const REASONS = {
  NotAllowedError: "Nothing came of it: it was cancelled, or it took too long. Try again when you are ready.",
  InvalidStateError: "This device has a passkey of this account already.",
  SecurityError: "A passkey needs the site's name, not a number. On your own machine, open it as localhost.",
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const trouble = form.querySelector("[data-passkey-trouble]");
  if (!window.PublicKeyCredential) {
    trouble.textContent = "This browser knows no passkeys, or the site is not reached by https.";
    continue;
  }
  const button = form.querySelector("button[type=submit]");
  button.disabled = false;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    trouble.textContent = "";
    button.disabled = true;
    try {
      form.elements.credential.value = JSON.stringify(answerOf(await askBrowser(form)));
      form.submit();
    } catch (error) {
      trouble.textContent = REASONS[error.name] || error.message;
      button.disabled = false;
    }
  });
}
