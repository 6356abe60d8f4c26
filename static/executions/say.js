// Telling people what happened: aloud in #announcer, and for the eye as a toast.

const TOAST_FOR = 6000; // ms
const WARNING_FOR = 8000;
const LOOK_AGAIN = 1000; // while a pointer or the focus rests on it, a toast stays

export function announce(text) {
  const region = document.getElementById("announcer");
  region.textContent = "";
  requestAnimationFrame(() => (region.textContent = text)); // said again even if it is the same sentence
}

export function toast(text, { isWarning = false, action = null } = {}) {
  const box = document.createElement("div");
  const leave = () => (box.matches(":hover, :focus-within") ? setTimeout(leave, LOOK_AGAIN) : box.remove());
  box.className = isWarning ? "toast toast--bad" : "toast";
  const words = document.createElement("p");
  words.textContent = text;
  box.append(words);
  if (action) box.append(button(action.label, () => (action.run(), box.remove())));
  box.append(button("Close", () => box.remove()));
  document.getElementById("toasts").append(box);
  setTimeout(leave, isWarning ? WARNING_FOR : TOAST_FOR);
}

// What a warning spoke of is over: something has worked since, or the connection is back.
export function clearWarnings() {
  for (const box of document.querySelectorAll("#toasts .toast--bad")) box.remove();
}

document.addEventListener("live:back", clearWarnings);

function button(label, press) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "btn btn--sm";
  made.textContent = label;
  made.addEventListener("click", press);
  return made;
}
