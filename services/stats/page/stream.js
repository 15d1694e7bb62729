// The stream of live numbers: reconnects by itself, and tells what the contact is.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10000;
// The server says something each second; after this the numbers are called stale.
export const STALE_MS = 4000;

/** Follow a tenant. `onView(view)` gets numbers, `onContact(state)` gets live, connecting, stale, refused, forbidden, busy. */
export function follow(tenantId, onView, onContact) {
  const address = `/v1/live/stream${tenantId ? `?tenant=${encodeURIComponent(tenantId)}` : ""}`;
  let pause = FIRST_PAUSE_MS, heard = performance.now(), ending = null, state = "";
  const become = (next) => {
    if (next !== state) onContact((state = next));
  };

  async function connect() {
    ending = new AbortController();
    try {
      const answer = await fetch(address, { signal: ending.signal, headers: { Accept: "text/event-stream" } });
      if (!answer.ok) return refusal(answer.status);
      await read(answer.body.getReader());
    } catch {
      // The network is away, or we hung up because nothing came: both are told by the state.
    }
    again();
  }

  function refusal(status) {
    if (status === 401) return become("refused");
    if (status === 403) return become("forbidden");
    if (status === 503) become("busy");
    again();
  }

  async function read(reader) {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard = performance.now();
      pause = FIRST_PAUSE_MS;
      text += decoder.decode(value, { stream: true });
      const parts = text.split("\n\n");
      text = parts.pop();
      for (const part of parts) take(part);
      become("live");
    }
  }

  function take(part) {
    const data = part.split("\n").find((line) => line.startsWith("data: "));
    if (data) onView(JSON.parse(data.slice("data: ".length)));
  }

  function again() {
    if (state !== "busy" && state !== "stale") become("connecting");
    setTimeout(connect, pause * (0.75 + Math.random() / 2));
    pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
  }

  setInterval(() => {
    if (state === "refused" || state === "forbidden") return;
    const silence = performance.now() - heard;
    if (silence > STALE_MS && state !== "busy") become("stale");
    if (silence > 2 * STALE_MS && state === "stale" && ending && !ending.signal.aborted) ending.abort();
  }, 500);
  become("connecting");
  connect();
}
