// What every page does by script. All of it is extra: pages and forms work without.
import { takeUp } from "./unsent.js";
import { startLive } from "./live.js";

const root = document.documentElement;

// Light, dark, or what the system says.
function theme(next) {
  if (next === "auto") { delete root.dataset.theme; } else { root.dataset.theme = next; }
  document.cookie = `drls_theme=${next};path=/;max-age=31536000;samesite=strict`;
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]");
  if (!button) { return; }
  if (button.dataset.action === "theme") {
    const dark = root.dataset.theme === "dark" || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    theme(dark ? "light" : "dark");
  } else if (button.dataset.action === "copy") {
    navigator.clipboard.writeText(button.dataset.text).then(() => {
      const word = button.querySelector("[data-word]") || button;
      const before = word.textContent;
      word.textContent = "Copied";
      setTimeout(() => { word.textContent = before; }, 1500);
    });
  }
});

// A menu closes when the focus or a click goes elsewhere.
for (const elsewhere of ["click", "focusin"]) {
  document.addEventListener(elsewhere, (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) { menu.open = false; }
    }
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = document.querySelector("details.menu[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  }
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    const search = document.querySelector("[data-search]");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  }
});

// A refusal is read out and seen: it gets the focus.
document.addEventListener("htmx:afterSwap", (event) => {
  const told = event.target.closest(".form-notice") && event.target.querySelector(".told");
  if (told) { told.tabIndex = -1; told.focus(); }
});
document.addEventListener("htmx:sendError", (event) => {
  const notice = event.detail.elt.querySelector?.(".form-notice");
  if (notice) { notice.textContent = "The server did not answer. Nothing is known to have changed: try again."; }
});

// A one-time link keeps its secret behind the #, where no server, log or proxy sees it.
const link = document.getElementById("link-form");
if (link && location.hash.length > 1) { useLink(location.hash.slice(1)); }
function useLink(text) {
  let secret;
  try { secret = decodeURIComponent(text); } catch { return; }  // Not encoded as an address is: no link.
  link.elements.secret.value = secret;
  history.replaceState(null, "", location.pathname);
  link.requestSubmit();
}

takeUp();
if (document.querySelector("[data-live]")) { startLive(); }
