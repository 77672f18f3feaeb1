// A term's definition appears while the pointer or the keyboard's focus is on it; without this script it is the title.
document.addEventListener("DOMContentLoaded", () => {
  const hint = document.createElement("div");
  hint.id = "term-hint";
  hint.setAttribute("role", "tooltip");
  hint.hidden = true;
  document.body.append(hint);
  const hide = () => { hint.hidden = true; };
  for (const term of document.querySelectorAll("a.term[title]")) {
    const definition = term.title;
    term.removeAttribute("title");
    term.setAttribute("aria-describedby", hint.id);
    const show = () => {
      hint.textContent = definition;  // as text: never as markup
      hint.hidden = false;
      const place = term.getBoundingClientRect();
      hint.style.left = `${Math.max(8, Math.min(place.left, innerWidth - hint.offsetWidth - 8))}px`;
      const below = place.bottom + 6 + hint.offsetHeight < innerHeight;
      hint.style.top = `${below ? place.bottom + 6 : place.top - hint.offsetHeight - 6}px`;
    };
    for (const event of ["mouseenter", "focus"]) term.addEventListener(event, show);
    for (const event of ["mouseleave", "blur"]) term.addEventListener(event, hide);
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
});
