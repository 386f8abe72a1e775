// Asks the server, and keeps what it has not confirmed: a vote is sent again until it is stored, also after a reload.

export class Refused extends Error {}
export class NoKey extends Error {}
export class Later extends Error {}

export const kept = {
  read(name) {
    try { return sessionStorage.getItem(name); } catch { return null; }
  },
  write(name, value) {
    try { sessionStorage.setItem(name, value); } catch { /* this tab then forgets it at a reload */ }
  },
};

export async function ask(path, body) {
  const key = kept.read("key");
  let answer;
  try {
    answer = await fetch(`api/${path}`, {
      method: body ? "POST" : "GET",
      headers: {...(body && {"Content-Type": "application/json"}), ...(key && {Authorization: `Bearer ${key}`})},
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
  } catch {
    throw new Later("The server does not answer");
  }
  let found = null;
  try { found = await answer.json(); } catch { /* a proxy's page */ }
  if (answer.ok && found) return found;
  const message = found?.error?.message ?? `status ${answer.status}`;
  if (answer.status === 401) throw new NoKey(message);
  if (answer.status >= 500 || answer.status === 429 || answer.status === 408 || answer.ok) throw new Later(message);
  throw new Refused(message);
}

/** What is to be sent, in order: `{path, body}`. */
export class Outbox {
  constructor() {
    try { this.items = JSON.parse(kept.read("outbox")) ?? []; } catch { this.items = []; }
  }

  put(path, body) {
    this.items.push({path, body});
    this.keep();
  }

  /** Send everything; `done(item, answer, refused)` is called for each that the server has answered. */
  async send(done) {
    while (this.items.length) {
      const item = this.items[0];
      let answer = null, refused = null;
      try {
        answer = await ask(item.path, item.body);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        refused = error;
      }
      this.items.shift();
      this.keep();
      done(item, answer, refused);
    }
  }

  keep() {
    kept.write("outbox", JSON.stringify(this.items));
  }
}

/** An id that no other vote has. (crypto.randomUUID is only there over HTTPS.) */
export function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
