// A file that is dropped on an element with data-drop is chosen in its file field, as if by hand.
for (const area of document.querySelectorAll("[data-drop]")) {
  const input = area.querySelector("[data-drop-target]");
  const files = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  area.addEventListener("dragover", (event) => {
    if (files(event)) { event.preventDefault(); area.classList.add("over"); }
  });
  area.addEventListener("dragleave", (event) => {
    if (!area.contains(event.relatedTarget)) { area.classList.remove("over"); }
  });
  area.addEventListener("drop", (event) => {
    if (!files(event) || event.dataTransfer.files.length === 0) { return; }
    event.preventDefault();
    area.classList.remove("over");
    input.files = event.dataTransfer.files;
    input.focus();
  });
}
