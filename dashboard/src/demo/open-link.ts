/** A message may carry any text as its link: only web addresses are followed, never `javascript:` and the like. */
export function openLink(href: string | null | undefined): void {
  if (href === null || href === undefined || !/^https?:\/\//i.test(href)) return;
  window.open(href, "_blank", "noopener,noreferrer");
}
