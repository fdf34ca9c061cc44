/** Kinds of documents in which `/admin` keeps what a facade's vendor keeps in a dashboard; that facade reads them. */

/** Keys that sign the tokens of Knock's users. Id is ours (`ksk`); body `{ publicKey }`, PEM. */
export const KNOCK_SIGNING_KEY = "knock-signing-key";
/** One document a facade, with its name as id. Of `knock`: `{ enhanced_security }`. */
export const FACADE_SETTINGS = "facade-settings";
/** One document, `default`: `{ display_sequence, unthrottled, display_interval }`, keys of guides and seconds. */
export const KNOCK_GUIDE_ORDER = "knock-guide-order";
/** Names that Knock's users may have preferences for; the id is the name. */
export const KNOCK_PREFERENCE_CATEGORY = "knock-preference-category";
/** One document, `default`: `{ enabled, config: { title, body, show_account_name, rows } }`. */
export const KNOCK_PREFERENCE_CENTER = "knock-preference-center";
/** Of `FACADE_SETTINGS`, the one document of all facades: `{ courier, knock, pushwoosh }`, each `all` or `own`. */
export const INBOX_VISIBILITY = "inbox-visibility";
