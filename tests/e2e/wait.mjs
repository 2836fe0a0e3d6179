//! Waiting, always with an end. It must never know for what.

export function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks again until the answer is truthy; null where it never was. */
export async function until(ask, { withinMs = 5_000, everyMs = 50 } = {}) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) return null;
    await wait(everyMs);
  }
}
