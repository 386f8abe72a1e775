// Draws problems and pairs. Text of programs enters the page by textContent only.

import {cut, rowsOf, wordsOf} from "./diff.js";
import {linesOf, visible} from "./text.js";

const MOST_LINES = 1000;  // drawn at once
const LEAST_FOLDED = 4;
const CONTEXT = 2;

export function made(name, kind, text) {
  const node = document.createElement(name);
  if (kind) node.className = kind;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Put a text with marks for what could not be seen into a node. */
export function write(node, text) {
  for (const [part, isMark] of visible(text)) node.append(isMark ? made("span", "mark", part) : part);
}

function lineOf(pieces, number, kind = "") {
  const line = made("div", `line ${kind}`);
  if (number !== null) line.dataset.number = number + 1;
  for (const [kind, text, changed] of pieces ?? []) {
    if (!kind && !changed) write(line, text);
    else {
      const span = made("span", `${kind} ${changed ? "changed" : ""}`.trim());
      write(span, text);
      line.append(span);
    }
  }
  return line;
}

/** Draw rows into a box, those of `folds` (`[from, to, words]`, in order) behind a button each. */
function drawFolded(box, count, folds, draw) {
  const parts = [];
  let at = 0;
  for (const [from, to, words] of folds) {
    for (; at < from; at++) parts.push(draw(at));
    const fold = made("button", "fold", `⋯ ${words}`);
    fold.type = "button";
    fold.addEventListener("click", () => {
      const inside = [];
      for (let i = from; i < to; i++) inside.push(draw(i));
      fold.replaceWith(...inside);
    });
    parts.push(fold);
    at = to;
  }
  for (; at < count; at++) parts.push(draw(at));
  box.replaceChildren(...parts);
  box.scrollTop = 0;
}

function counted(count, what) {
  return `${count.toLocaleString("en")} ${count === 1 ? "line" : "lines"} ${what}`;
}

export function drawText(box, text, language) {
  const lines = linesOf(text, language);
  const folds = lines.length > MOST_LINES ? [[MOST_LINES, lines.length, counted(lines.length - MOST_LINES, "more")]] : [];
  drawFolded(box, lines.length, folds, (i) => lineOf(lines[i], i));
}

/** Draw two programs beside each other; what both begin with is folded. */
export function drawSides(boxes, pair) {
  const sides = [pair.left, pair.right].map((code) => linesOf(code, pair.language));
  const texts = sides.map((lines) => lines.map(plain));
  let same = 0;
  while (same < texts[0].length && same < texts[1].length && texts[0][same] === texts[1][same]) same++;
  same -= 1;  // the last one stays, as context
  boxes.forEach((box, side) => {
    const lines = sides[side], folds = [];
    if (same >= LEAST_FOLDED) folds.push([0, same, counted(same, "that both begin with")]);
    const begun = folds.length ? same : 0;
    if (lines.length - begun > MOST_LINES) {
      folds.push([begun + MOST_LINES, lines.length, counted(lines.length - begun - MOST_LINES, "more")]);
    }
    drawFolded(box, lines.length, folds, (i) => lineOf(lines[i], i));
  });
}

/** Draw the differences: rows with a line of each; what both share is folded. */
export function drawDifference(box, pair) {
  const [left, right] = [pair.left, pair.right].map((code) => linesOf(code, pair.language));
  const rows = rowsOf(left.map(plain), right.map(plain));
  const folds = [];
  for (let from = 0; from < rows.length; ) {
    let to = from;
    while (to < rows.length && rows[to].same) to++;
    const first = from ? from + CONTEXT : 0, last = to < rows.length ? to - CONTEXT : to;
    if (last - first >= LEAST_FOLDED) folds.push([first, last, counted(last - first, "the same")]);
    while (to < rows.length && !rows[to].same) to++;
    if (to - from > MOST_LINES && to > (folds.at(-1)?.[1] ?? 0) + MOST_LINES) {
      const cut = Math.max(from, folds.at(-1)?.[1] ?? 0) + MOST_LINES;
      folds.push([cut, to, counted(to - cut, "more")]);
    }
    from = to;
  }
  drawFolded(box, rows.length, folds, (i) => rowOf(rows[i], left, right));
}

function rowOf({left, right, same}, lefts, rights) {
  const row = made("div", same ? "row same" : "row");
  let [a, b] = [left === null ? [] : lefts[left], right === null ? [] : rights[right]];
  if (!same && left !== null && right !== null) {
    const changed = wordsOf(plain(a), plain(b));
    if (changed) [a, b] = [cut(a, changed[0]), cut(b, changed[1])];
  }
  const kinds = same ? ["", ""] : [left === null ? "none" : "left", right === null ? "none" : "right"];
  row.append(lineOf(a, left, kinds[0]), lineOf(b, right, kinds[1]));
  return row;
}

function plain(pieces) {
  return pieces.map(([, text]) => text).join("");
}

/** `passed 4 of 4 tests`. */
export function testsText(result) {
  if (!result) return "not run";
  const outcome = result.outcome.replaceAll("_", " ");
  const detail = result.detail ? `: ${result.detail.slice(0, 200)}` : "";
  return `${outcome}, ${result.passed} of ${result.total} tests${detail}`;
}

/** A table of whatever the status holds. */
export function tableOf(value) {
  if (value === null || typeof value !== "object") {
    const text = typeof value === "number" && !Number.isInteger(value) ? value.toFixed(3) : String(value ?? "–");
    const shown = made("span");
    write(shown, text);
    return shown;
  }
  const table = made("table"), body = made("tbody");
  for (const [name, inner] of Object.entries(value)) {
    const row = made("tr"), head = made("th"), cell = made("td");
    head.scope = "row";
    write(head, Array.isArray(value) ? String(Number(name) + 1) : name.replaceAll("_", " "));
    cell.append(tableOf(inner));
    row.append(head, cell);
    body.append(row);
  }
  table.append(body);
  return body.children.length ? table : made("span", "", "none");
}
