// What Rust asks of the runtime's objects on the way of every call, in one crossing each: one
// crossing costs about as much as what it does. It knows no route and no rule.

/** The value of a request's field. */
export function field(request, name) {
  return request.headers.get(name) ?? undefined;
}

/** Country and subdivision that the network tells of a request; empty where it tells none. */
export function place({ cf }) {
  return [`${cf?.country ?? ""}`, `${cf?.regionCode ?? ""}`];
}

/** An answer; `fields` are lines, names and values in turn: no value holds a line break. */
export function respond(status, fields, body) {
  const lines = fields.split("\n");
  const headers = [];
  for (let at = 0; at < lines.length; at += 2) headers.push([lines[at], lines[at + 1]]);
  return new Response(body, { status, headers });
}

/** Calls a profile's object. */
export function callProfile(env, name, message) {
  return env.PROFILE.getByName(name).call(message);
}
