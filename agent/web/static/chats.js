// A chat: what happens in it arrives as parts that the server made. Without scripts the forms work, and the page is
// loaded again to see more.
import { announce } from "./live.js";

const SILENT = 25000; // ms: the server says something every ten seconds
const entries = document.getElementById("entries");
const composer = document.getElementById("composer");
const box = document.getElementById("say");
const away = document.getElementById("chat-away");

// --- What is shown ---

const atEnd = () => innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
const toEnd = () => scrollTo({ top: document.documentElement.scrollHeight });
const waits = () => {
  const state = document.getElementById("chat-bar")?.dataset.state;
  return state !== undefined && state !== "idle";
};

function swap(target, html, swapStyle) {
  htmx.swap(target, html, { swapStyle, swapDelay: 0, settleDelay: 0 }, { eventInfo: { target } });
}

// What is shown again is made of new elements: what was open or had the focus stays so.
function put({ id, mark, html }) {
  const old = document.getElementById(id);
  if (old?.dataset.mark === mark) { return; }
  if (old) {
    const open = [...old.querySelectorAll("details")].map((one) => one.open);
    const focus = old.contains(document.activeElement) && document.activeElement;
    const way = focus && [focus.tagName, [...old.querySelectorAll(focus.tagName)].indexOf(focus)];
    swap(old, html, "outerHTML");
    const fresh = document.getElementById(id);
    [...fresh.querySelectorAll("details")].forEach((one, at) => { if (open[at]) { one.open = true; } });
    const answered = old.querySelector(".confirm") && !fresh.querySelector(".confirm");
    if (answered && (focus || document.activeElement === document.body)) {
      box?.focus({ preventScroll: true });
    } else if (way) { (fresh.querySelectorAll(way[0])[way[1]] || box)?.focus({ preventScroll: true }); }
  } else {
    swap(entries, html, "beforeend");
  }
  const says = document.getElementById(id)?.dataset.says;
  if (says) { announce(says); }
}

const shows = {
  entries({ entries: all }) {
    const ids = new Set(all.map((one) => one.id));
    for (const one of [...entries.querySelectorAll(".entry")]) { if (!ids.has(one.id)) { one.remove(); } }
    for (const one of all) { put(one); }
  },
  entry(one) { put(one); },
  text({ id, text }) { document.getElementById(id)?.querySelector("[data-tail]")?.append(text); },
  bar({ html }) {
    const bar = document.getElementById("chat-bar");
    const stop = document.activeElement?.id === "chat-stop";
    swap(bar, html, "outerHTML");
    if (stop) { (document.getElementById("chat-stop") || box)?.focus({ preventScroll: true }); }
    maySend();
  },
};

// A message while an answer is made would be refused: the button says so, and Stop is next to it.
function maySend() {
  const send = document.getElementById("chat-send");
  if (send && entries) { send.disabled = waits(); }
}

// --- The stream ---

function listen() {
  let source = null;
  let watchdog = 0;
  let wait = 1000;

  function alive() {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => { source.close(); open(); }, SILENT);
  }
  function say(why) {
    away.hidden = !why;
    away.querySelector("p").textContent = why;
  }
  function open() {
    if (document.hidden) { return; }
    source = new EventSource(entries.dataset.stream);
    alive();
    source.addEventListener("beat", alive);
    for (const [name, show] of Object.entries(shows)) {
      source.addEventListener(name, (event) => {
        alive();
        wait = 1000;
        say("");
        const follow = atEnd();
        show(JSON.parse(event.data));
        if (follow) { toEnd(); }
      });
    }
    source.addEventListener("away", (event) => { alive(); say(`Waiting: ${JSON.parse(event.data).why}.`); });
    source.addEventListener("gone", (event) => {
      clearTimeout(watchdog);
      source.close();
      say(JSON.parse(event.data).why);
    });
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) { return; }
      clearTimeout(watchdog);
      say("No connection to the server. Reconnecting…");
      // A session that has ended answers no stream: one look tells, and leads to the sign-in page.
      htmx.ajax("GET", "/badge", { target: "#badge", swap: "outerHTML" }).catch(() => undefined);
      setTimeout(open, wait);
      wait = Math.min(wait * 2, 15000);
    });
  }

  // A hidden tab holds no connection: browsers allow few per server.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(watchdog);
    source?.close();
    open();
  });
  open();
}

// --- What people write ---

if (box) {
  box.addEventListener("keydown", (event) => {
    // On a phone Enter is a new line: the button is next to the thumb. Composing a character, it ends that.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) { return; }
    event.preventDefault();
    if (entries && waits()) {
      announce("TRex is still working. Stop it, or wait until it has answered.");
    } else if (box.value.trim()) {
      composer.requestSubmit();
    }
  });
}

document.addEventListener("htmx:afterRequest", (event) => {
  const { elt, xhr, successful } = event.detail;
  if (!successful || !entries) { return; }
  if (elt === composer) {
    box.value = "";
    composer.elements.key.value = xhr.getResponseHeader("X-Next-Key");
    document.getElementById("chat-notice").replaceChildren();
    box.focus();
    toEnd();
  }
});

if (entries?.dataset.stream) {
  maySend();
  toEnd();
  listen();
}
