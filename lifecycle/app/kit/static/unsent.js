// What somebody was writing when their session ended comes back after the new sign-in: on the same page of this tab,
// once, and for nobody else.

const name = `unsent:${location.pathname}`;
const who = document.body.dataset.person;
const fields = () => [...document.querySelectorAll("textarea[id]")];

document.addEventListener("htmx:beforeOnLoad", (event) => {
  if (event.detail.xhr.status !== 401 || !who) { return; }
  const texts = fields().filter((one) => one.value !== one.defaultValue).map((one) => [one.id, one.value]);
  if (texts.length) { sessionStorage.setItem(name, JSON.stringify({ who, texts })); }
});

export function takeUp() {
  const kept = who && JSON.parse(sessionStorage.getItem(name) || "null");
  if (!kept) { return; }
  sessionStorage.removeItem(name);
  if (kept.who !== who) { return; }
  for (const [id, text] of kept.texts) {
    const field = document.getElementById(id);
    if (field && field.value === field.defaultValue) { field.value = text; }
  }
}
