/**
 * The four addresses that a Courier client must be given, whatever it talks to first, in the shape its option `apiUrls`
 * takes: one left out would lead to the vendor's servers.
 * @param publicUrl with or without a slash at its end.
 */
export function apiUrls(publicUrl: string) {
  const rest = publicUrl.replace(/\/+$/, "");
  return {
    courier: { rest, graphql: `${rest}/client/q` },
    inbox: { graphql: `${rest}/q`, webSocket: webSocketUrl(publicUrl) },
  };
}

export function webSocketUrl(publicUrl: string): string {
  return `${publicUrl.replace(/\/+$/, "").replace(/^http/, "ws")}/ws`;
}
