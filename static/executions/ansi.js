// What a program writes for a terminal, as text with classes: nothing of it ever becomes markup.

const ESCAPE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g;
const RESET = 0;
const BOLD = 1;
const DIM = 2;
const EXTENDED = 38; // and 48: a colour of 256, or any; its parameters are passed over

export function paint(place, text) {
  place.textContent = "";
  let look = { colour: "", bold: false, dim: false };
  let from = 0;
  for (const found of text.matchAll(ESCAPE)) {
    put(place, text.slice(from, found.index), look);
    from = found.index + found[0].length;
    if (found[2] === "m") look = changed(look, (found[1] || "0").split(";").map(Number));
  }
  put(place, text.slice(from), look);
}

function put(place, text, look) {
  if (!text) return;
  const classes = [look.colour, look.bold && "a1", look.dim && "a2"].filter(Boolean);
  if (!classes.length) return void place.append(text);
  const span = document.createElement("span");
  span.className = classes.join(" ");
  span.textContent = text;
  place.append(span);
}

function changed(look, codes) {
  const next = { ...look };
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (code === RESET) Object.assign(next, { colour: "", bold: false, dim: false });
    else if (code === BOLD) next.bold = true;
    else if (code === DIM) next.dim = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 39) next.colour = "";
    else if (code >= 31 && code <= 36) next.colour = `a${code}`;
    else if (code >= 91 && code <= 96) next.colour = `a${code - 60}`;
    else if (code === 30 || code === 90) next.colour = "a90";
    else if (code === 37 || code === 97) next.colour = "";
    else if (code === EXTENDED || code === EXTENDED + 10) i += codes[i + 1] === 5 ? 2 : 4;
  }
  return next;
}
