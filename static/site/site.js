// The site's own script: what a page can do without, never what it needs. Files only, so the CSP stays strict.
"use strict";

// Lines to copy get a button, which says that it worked.
function addCopyButtons(root) {
  for (const box of root.querySelectorAll("[data-copy]:not(.has-copy)")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", () => {
      navigator.clipboard.writeText(box.querySelector("code").textContent).then(
        () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 2000); },
        () => { button.textContent = "Press Ctrl+C"; getSelection().selectAllChildren(box.querySelector("code")); },
      );
    });
    box.append(button);
    box.classList.add("has-copy");
  }
}

// Instants are written in UTC; whoever has this script reads them in their own time, too (as the title).
function addLocalTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    const at = new Date(time.dateTime);
    if (!isNaN(at)) time.title = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) + " where you are";
  }
}

function bringToLife(root) {
  if (navigator.clipboard) addCopyButtons(root);
  addLocalTimes(root);
}

bringToLife(document);
document.addEventListener("htmx:load", (event) => bringToLife(event.detail.elt));
