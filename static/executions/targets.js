// While a card is in hand: the places that would take it are lit and name the verb, and a mark stands where it would go.

import { moveFor } from "./moves.js";

export const PLACES = ["library", "planning", "pending", "running", "completed", "failed"];

export function elementOf(place) {
  return place === "library" ? document.getElementById("drawer") : document.querySelector(`[data-column="${place}"]`);
}

export function listOf(place) {
  return elementOf(place)?.querySelector("[data-cards]");
}

export function cardsOf(place) {
  return [...(listOf(place)?.querySelectorAll(":scope > .card[id]") ?? [])];
}

export function light(card) {
  document.getElementById("board").classList.add("is-lifting");
  for (const place of PLACES) {
    const move = moveFor(card, place);
    if (!move || place === card.dataset.in) continue;
    elementOf(place).classList.add("is-target");
    document.querySelector(`[data-tab="${place}"]`)?.classList.add("is-target");
    listOf(place)?.prepend(verb(move));
  }
}

export function aim(card, place, before = null) {
  for (const lit of document.querySelectorAll(".is-over")) lit.classList.remove("is-over");
  document.querySelector(".drop")?.remove();
  if (!place) return;
  elementOf(place).classList.add("is-over");
  document.querySelector(`[data-tab="${place}"]`)?.classList.add("is-over");
  const move = moveFor(card, place);
  if (!move || !listOf(place) || move.confirm) return;
  const cards = cardsOf(place);
  listOf(place).insertBefore(mark(move, card), before ?? cards.at(-1)?.nextSibling ?? listOf(place).firstChild?.nextSibling ?? null);
}

export function dim() {
  document.getElementById("board").classList.remove("is-lifting");
  for (const lit of document.querySelectorAll(".is-target, .is-over")) lit.classList.remove("is-target", "is-over");
  for (const shown of document.querySelectorAll(".col__verb, .drop")) shown.remove();
}

// The plan in front of which something dropped at this height would stand; null for the last place.
export function planBelow(y, card) {
  const others = cardsOf("planning").filter((other) => other !== card);
  return others.find((other) => {
    const box = other.getBoundingClientRect();
    return y < box.top + box.height / 2;
  }) ?? null;
}

function verb(move) {
  const shown = document.createElement("div");
  shown.className = "col__verb";
  const label = document.createElement("b");
  label.textContent = move.label;
  shown.append(label, move.hint);
  return shown;
}

function mark(move, card) {
  const shown = document.createElement("div");
  shown.className = "drop";
  shown.textContent = move.verb === "place" ? "Place it here" : `Drop to ${move.label.toLowerCase()}`;
  shown.style.minHeight = `${Math.min(card.offsetHeight, 96)}px`;
  return shown;
}
