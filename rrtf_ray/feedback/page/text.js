// Programs as pieces that can be shown: `[kind, text]`, line by line. Nothing here touches the page.

const MOST_TOKENS = 20000;  // of one text; what follows is shown plain
const MOST_MARKS = 2000;  // of one line; what follows is counted
const KEYWORDS = {
  python: "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield match case",
  javascript: "async await break case catch class const continue debugger default delete do else export extends false finally for function if import in instanceof let new null of return static super switch this throw true try typeof undefined var void while with yield",
};
const WORDS = Object.fromEntries(Object.entries(KEYWORDS).map(([name, words]) => [name, new Set(words.split(" "))]));
const STARTS = {
  python: /(#[^\n]*)|((?:[rbfu]{1,2})?(?:"""|'''|"|'))|(\d[\w.]*)|([\p{L}_][\p{L}\p{N}_]*)/giu,
  javascript: /(\/\/[^\n]*|\/\*)|(["'`])|(\d[\w.]*)|([\p{L}_$][\p{L}\p{N}_$]*)/giu,
};

// What could not be seen, or would leave its line: controls, bidirectional marks, blanks that are no space, surrogates,
// unassigned characters, letters without a shape, and more combining marks than any language stacks.
const HIDDEN = /([\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Co}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0\u2800\ufe00-\ufe0f]|[^\P{Zs} ])\1*|\p{M}{4,}/gu;

/** Texts and marks in turn: `[text, isMark]`. A run of marks is one: `×` and how many. */
export function visible(text) {
  const found = [];
  let end = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match[1] === "\t" || match[1] === "\n") continue;
    if (found.length > MOST_MARKS) {
      found.push([`‹${(text.length - end).toLocaleString("en")} more characters of this line are not shown›`, true]);
      return found;
    }
    if (match.index > end) found.push([text.slice(end, match.index), false]);
    const points = [...match[0]];
    const code = points[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    found.push([points.length > 1 ? `‹U+${code} ×${points.length}›` : `‹U+${code}›`, true]);
    end = match.index + match[0].length;
  }
  if (end < text.length) found.push([text.slice(end), false]);
  return found;
}

/** The lines of a text, each a list of `[kind, text]`; kind is "" for plain text. */
export function linesOf(text, language) {
  const lines = [[]];
  for (const [kind, token] of tokensOf(text, language)) {
    const parts = token.split("\n");
    parts.forEach((part, number) => {
      if (number) lines.push([]);
      if (part) lines[lines.length - 1].push([kind, part]);
    });
  }
  if (lines.length > 1 && !lines[lines.length - 1].length) lines.pop();
  return lines;
}

function* tokensOf(text, language) {
  const start = STARTS[language];
  let end = 0;
  if (start) {
    let count = 0, before = "";
    start.lastIndex = 0;
    for (let match; (match = start.exec(text)) && count < MOST_TOKENS; count++) {
      const [whole, comment, quote, number, word] = match;
      const after = comment === "/*" ? closing(text, "*/", start.lastIndex) : quote ? closed(text, quote, start.lastIndex) : start.lastIndex;
      const kind = comment ? "comment" : quote ? "string" : number ? "number" : kindOf(word, before, language);
      before = word || "";
      if (kind) {
        if (match.index > end) yield ["", text.slice(end, match.index)];
        yield [kind, text.slice(match.index, after)];
        end = after;
      }
      start.lastIndex = Math.max(after, match.index + whole.length);
    }
  }
  if (end < text.length) yield ["", text.slice(end)];
}

function kindOf(word, before, language) {
  if (WORDS[language].has(word)) return "keyword";
  return ["def", "class", "function"].includes(before) ? "name" : "";
}

function closing(text, mark, from) {
  const found = text.indexOf(mark, from);
  return found < 0 ? text.length : found + mark.length;
}

/** Where a string ends that was opened with `quote` (its prefix included); one on a line ends with the line. */
function closed(text, quote, from) {
  const mark = quote.replace(/^[a-z]+/i, "");
  const isLong = mark.length === 3 || mark === "`";
  for (let at = from; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text.startsWith(mark, at)) return at + mark.length;
    else if (text[at] === "\n" && !isLong) return at;
  }
  return text.length;
}
