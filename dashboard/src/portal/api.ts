/** Calls with the visitor's token, for the svix client and beside it. */
import { ApiException } from "svix";
import { SERVER_URL } from "./session.ts";

/**
 * `fetch` that tells when the server no longer takes the token.
 * @param ended called with each such answer, which is then handed on.
 */
export function watchedFetch(ended: () => void): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (response.status === 401) ended();
    return response;
  };
}

/** @throws ApiException */
export async function call<T>(
  send: typeof fetch,
  token: string,
  method: "GET" | "POST",
  path: string,
  body?: unknown,
): Promise<T> {
  const response = await send(`${SERVER_URL}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      accept: "application/json",
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new ApiException(response.status, parsed(text), response.headers);
  return parsed(text) as T;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
