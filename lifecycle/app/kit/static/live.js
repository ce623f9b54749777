// One stream of changes per tab. A change, or a stream that came back, makes the page's live parts load again:
// what they show is always asked from the server, never worked out here.

const STREAM = "/api/events";
const CALM = 250; // ms: many changes at once are one look
const SILENT = 45000; // ms: the server says something every 15 seconds
const QUIET = /^(sign_in|session|token)\./; // nothing on a page shows these

// A part that loads itself again is made of new elements: what had the focus, was open or was scrolled stays so.
const STAYS = "a, button, summary, details, [tabindex]";
let before = null;

function marked(part) {
  const seen = new Map();
  return [...part.querySelectorAll(STAYS)].map((element) => {
    const name = [element.tagName, element.id, element.getAttribute("href"), element.getAttribute("aria-label")].join(" ");
    seen.set(name, (seen.get(name) || 0) + 1);
    return [`${name} ${seen.get(name)}`, element];
  });
}

// Of a part that comes along with another one, too: both end before the next one begins.
const waiting = new Map();
function remember(event) {
  const part = event.detail.target;
  if (!part.matches("[data-live], [data-along]")) { return; }
  waiting.set(part.id, {
    says: part.dataset.says,
    states: new Map(marked(part).map(([name, one]) => [name, {
      focus: one === document.activeElement, open: one.open === true, left: one.scrollLeft,
    }])),
  });
}
function restore(event) {
  const before = waiting.get(event.detail.target.id);
  const part = before && document.getElementById(event.detail.target.id);
  if (!part) { return; }
  waiting.delete(part.id);
  for (const [name, element] of marked(part)) {
    const was = before.states.get(name);
    if (was?.open) { element.open = true; }
    if (was?.left) { element.scrollLeft = was.left; }
    if (was?.focus) { element.focus({ preventScroll: true }); }
  }
  if (part.dataset.says && part.dataset.says !== before.says) { announce(part.dataset.says); }
}
document.addEventListener("htmx:beforeSwap", remember);
document.addEventListener("htmx:afterSwap", restore);
document.addEventListener("htmx:oobBeforeSwap", remember);
document.addEventListener("htmx:oobAfterSwap", restore);

// Read out when it has changed: a part that is replaced every few seconds would be read again and again, or never.
export function announce(text) {
  const line = document.createElement("p");
  line.textContent = text;
  document.getElementById("heard")?.append(line);
  setTimeout(() => { line.remove(); }, 10000);
}

// A session or the last role that has ended is told to each part that asks. The first answer leads to the sign-in
// page, or loads this one again; a second one would begin the same way anew and cut the first short.
const LEAVING = 5000; // ms: after that the way has failed, and the next answer may lead there
let left = -LEAVING;
document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr, requestConfig } = event.detail;
  const leads = xhr.getResponseHeader("HX-Redirect") || xhr.getResponseHeader("HX-Refresh");
  if (!leads || requestConfig.verb !== "get") { return; }
  if (performance.now() - left < LEAVING) { event.preventDefault(); } else { left = performance.now(); }
});
// The page may be shown again as it was left.
addEventListener("pageshow", () => { left = -LEAVING; });

export function startLive() {
  let source = null;
  let timer = 0;
  let wait = 1000;
  let cut = false;
  let once = false;
  let watchdog = 0;
  // What happened while the page was made and loaded is told, too.
  let seen = document.body.dataset.after || "0";

  function refresh() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      for (const part of document.querySelectorAll("[data-live]")) {
        // Nobody's typing is lost: a part that somebody writes in waits until they leave it.
        const busy = part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
        if (busy) {
          part.dataset.behind = "";
        } else if (part.classList.contains("htmx-request")) {
          // Its answer may be from before this change, and it replaces the part: ask once more then.
          once = true;
        } else {
          htmx.trigger(part, "refresh");
        }
      }
    }, CALM);
  }

  function say(offline) {
    const told = document.getElementById("offline");
    if (told) { told.hidden = !offline; }
  }

  // A network that is gone without a word leaves the stream open for ever: silence is a cut, too.
  function alive() {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => {
      source.close();
      cut = true;
      say(true);
      again();
    }, SILENT);
  }

  function open() {
    source = new EventSource(`${STREAM}?after=${seen}`);
    alive();
    source.addEventListener("beat", alive);
    source.addEventListener("open", () => {
      wait = 1000;
      alive();
      say(false);
      // Whatever happened while the stream was cut is on the page now.
      if (cut) { cut = false; refresh(); }
    });
    source.addEventListener("change", (event) => {
      alive();
      seen = event.lastEventId || seen;
      if (!QUIET.test(JSON.parse(event.data).verb)) { refresh(); }
    });
    source.addEventListener("error", () => {
      cut = true;
      if (source.readyState === EventSource.CLOSED) {
        say(true);
        setTimeout(again, wait);
        wait = Math.min(wait * 2, 15000);
      } else {
        // The browser tries by itself; if that takes long, say so.
        setTimeout(() => { if (cut) { say(true); } }, 3000);
      }
    });
  }

  function again() {
    if (document.hidden || (source && source.readyState !== EventSource.CLOSED)) { return; }
    // A session that has ended answers no stream: one look tells, and leads to the sign-in page.
    htmx.ajax("GET", "/badge", { target: "#badge", swap: "outerHTML" }).catch(() => undefined);
    open();
  }

  // A hidden tab holds no connection: browsers allow few per server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(watchdog);
      source.close();
      cut = true;
    } else if (source.readyState === EventSource.CLOSED) {
      open();
    }
  });
  document.addEventListener("focusout", (event) => {
    const part = event.target.closest?.("[data-behind]");
    if (part) { delete part.dataset.behind; refresh(); }
  });
  document.addEventListener("htmx:afterSettle", title);
  document.addEventListener("htmx:afterRequest", () => {
    if (once) { once = false; refresh(); }
  });

  function title() {
    const badge = document.getElementById("badge");
    const count = badge ? badge.textContent.trim() : "";
    document.title = (count ? `(${count}) ` : "") + document.title.replace(/^\(\d+\) /, "");
  }

  if (!document.hidden) { open(); } else { source = { readyState: EventSource.CLOSED, close() {} }; cut = true; }
}
