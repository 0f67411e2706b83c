// Ping: how long an answer of each world's gateway takes to come here. Only when asked for, since the gateway's machine
// then sees this browser's address. Remembered for this tab.
"use strict";

const found = new Map(); // origin → milliseconds, or null: it did not answer
const TRIES = 4;
const PATIENCE_MS = 3000;

function isWanted() { return sessionStorage.getItem("ping") === "yes"; }

async function oneTry(origin) {
  const began = performance.now();
  await fetch(origin + "/healthz", {
    mode: "no-cors", cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer", signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return performance.now() - began;
}

async function measure(origin) {
  try {
    await oneTry(origin); // opens the connection; its time is not the ping
    const times = [];
    for (let number = 0; number < TRIES; number++) times.push(await oneTry(origin));
    found.set(origin, Math.max(1, Math.round(Math.min(...times))));
  } catch {
    found.set(origin, null);
  }
}

function show(root) {
  for (const place of root.querySelectorAll("[data-ping]")) {
    if (!found.has(place.dataset.ping)) continue;
    const ms = found.get(place.dataset.ping);
    place.textContent = ms === null ? "no answer" : ms + " ms";
    place.closest("[data-ping-row]").hidden = false;
  }
}

async function measureAll(button) {
  const origins = new Set([...document.querySelectorAll("[data-ping]")].map((place) => place.dataset.ping));
  const waiting = [...origins].filter((origin) => origin && !found.has(origin));
  if (button) button.disabled = true;
  // Two at a time: more would slow each other down and measure that.
  const worker = async () => { for (let next; (next = waiting.pop()); ) { await measure(next); show(document); } };
  await Promise.all([worker(), worker()]);
  show(document);
  if (button) { button.disabled = false; button.dataset.done = "yes"; button.lastChild.textContent = "Measure again"; }
}

const button = document.querySelector("[data-ping-start]");
if (button) {
  button.hidden = false;
  button.addEventListener("click", () => {
    sessionStorage.setItem("ping", "yes");
    if (button.dataset.done) found.clear();
    measureAll(button);
  });
  if (isWanted()) measureAll(button);
}
document.addEventListener("htmx:load", () => show(document));
