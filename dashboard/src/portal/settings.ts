/** What the environment's owner has settled about the portal: names, switches, colours. */

export interface PortalSettings {
  readonly displayName: string | null;
  readonly logoUrl: string | null;
  readonly customColor: string | null;
  readonly customFontFamily: string | null;
  readonly customThemeOverride: {
    readonly borderRadius?: { readonly [part: string]: string | null } | null;
    readonly fontSize?: { readonly base?: number | null } | null;
  } | null;
  readonly customStringsOverride: { readonly [name: string]: string | null } | null;
  readonly colorPaletteLight: Palette | null;
  readonly colorPaletteDark: Palette | null;
  readonly enableChannels: boolean;
  readonly enableMessageTags: boolean;
  readonly enableTransformations: boolean;
}

export interface Palette {
  readonly [part: string]: string | null | undefined;
}

/** For a token that may not read the settings. */
export const PLAIN: PortalSettings = {
  displayName: null,
  logoUrl: null,
  customColor: null,
  customFontFamily: null,
  customThemeOverride: null,
  customStringsOverride: null,
  colorPaletteLight: null,
  colorPaletteDark: null,
  enableChannels: false,
  enableMessageTags: false,
  enableTransformations: true,
};

/** What the environment calls channels. */
export function channelWords(settings: PortalSettings): {
  readonly one: string;
  readonly many: string;
  readonly help: string;
} {
  const { channelsOne, channelsMany, channelsHelp } = settings.customStringsOverride ?? {};
  return {
    one: channelsOne ?? "channel",
    many: channelsMany ?? "Channels",
    help: channelsHelp ?? "Only messages with one of these are sent here. Leave empty for all messages.",
  };
}
