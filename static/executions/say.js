// Telling people what happened: aloud in #announcer, and for the eye as a toast.

const TOAST_FOR = 6000; // ms
const WARNING_FOR = 12_000;

export function announce(text) {
  const region = document.getElementById("announcer");
  region.textContent = "";
  requestAnimationFrame(() => (region.textContent = text)); // said again even if it is the same sentence
}

export function toast(text, { isWarning = false, action = null } = {}) {
  const box = document.createElement("div");
  box.className = isWarning ? "toast toast--bad" : "toast";
  const words = document.createElement("p");
  words.textContent = text;
  box.append(words);
  if (action) box.append(button(action.label, () => (action.run(), box.remove())));
  box.append(button("Close", () => box.remove()));
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), isWarning ? WARNING_FOR : TOAST_FOR);
}

function button(label, press) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "btn btn--sm";
  made.textContent = label;
  made.addEventListener("click", press);
  return made;
}
