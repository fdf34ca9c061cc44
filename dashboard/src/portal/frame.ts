/** Being embedded in somebody else's page. */

/** Whether the page is shown inside of another one. */
export const isEmbedded = window.parent !== window;

/**
 * Tells the page around it how high an element is, whenever that changes, in the words that svix-react's `AppPortal`
 * listens for. A height is no secret, so any page may hear it.
 */
export function reportHeight(element: HTMLElement): void {
  if (!isEmbedded) return;
  let told = -1;
  new ResizeObserver(() => {
    const height = Math.ceil(element.getBoundingClientRect().height);
    if (height === told) return;
    told = height;
    window.parent.postMessage({ type: "svix.iframe-resizer-height", payload: { height } }, "*");
  }).observe(element);
}
