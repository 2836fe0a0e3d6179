// What Rust asks of the runtime's objects on the way of every call, in one crossing each: one
// crossing costs about as much as what it does. It knows no route and no rule.

/** A request's method, address and fields, a line each: no value of a field holds a line break. */
export function head(request) {
  let text = `${request.method}\n${request.url}`;
  for (const [name, value] of request.headers) text += `\n${name}:${value}`;
  return text;
}

/** An answer; `fields` are names and values in turn. */
export function respond(status, fields, body) {
  const headers = [];
  for (let at = 0; at < fields.length; at += 2) headers.push([fields[at], fields[at + 1]]);
  return new Response(body, { status, headers });
}

/** Calls the object of a name, whatever its class takes as a call. */
export function callObject(namespace, name, message) {
  return namespace.getByName(name).call(message);
}
