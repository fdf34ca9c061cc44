/**
 * What Courier's clients may ask over GraphQL: one schema for the inbox, preferences and brands, whichever URL the
 * request came to. Arguments are never of type ID, because clients declare their variables as String.
 */

import type { GraphQLFieldResolver } from "graphql";
import { buildSchema, GraphQLError, type GraphQLScalarType, GraphQLSchema, Kind, type ValueNode } from "graphql";
import { parseIso } from "./wire.ts";

const SDL = /* GraphQL */ `
  scalar JSON
  "A moment: ISO 8601 text, or milliseconds since 1970 as a number or as digits."
  scalar DateFilter

  "Which of the caller's messages. All conditions must hold."
  input FilterParamsInput {
    "Messages of this tenant; absent: messages without one."
    accountId: String
    archived: Boolean
    "Created then or later."
    from: DateFilter
    pinned: Boolean
    "read or unread"
    status: String
    "Any of them."
    tags: [String!]
  }
  input PreferencesInput {
    status: PreferenceStatus
    hasCustomRouting: Boolean
    digestSchedule: String
    routingPreferences: [ChannelClassification!]
  }
  input BannerParamsInput {
    from: DateFilter
    locale: String
    tags: [String!]
  }
  enum PreferenceStatus { OPTED_IN OPTED_OUT REQUIRED UNKNOWN }
  enum ChannelClassification { direct_message email inbox push sms webhook unknown }

  type Query {
    count(params: FilterParamsInput): Int!
    messages(params: FilterParamsInput, limit: Int, after: String): InboxConnection!
    message(messageId: String!): InboxMessage
    brand(brandId: String): Brand
    recipientPreferences(accountId: String): RecipientPreferenceConnection!
    recipientPreference(templateId: String!, accountId: String): RecipientPreference
    preferencePage(accountId: String): PreferencePage
    draftPreferencePage: PreferencePage
    digestSchedulesForTopic(templateId: String!): [DigestScheduleOption!]
    inAppBrand: Brand
    banners(params: BannerParamsInput, limit: Int, after: String): BannerConnection!
  }

  "True when the message is the caller's, whether or not anything changed."
  type Mutation {
    read(messageId: String!): Boolean
    unread(messageId: String!): Boolean
    opened(messageId: String!): Boolean
    archive(messageId: String!): Boolean
    unarchive(messageId: String!): Boolean
    clicked(messageId: String!, trackingId: String): Boolean
    markAllRead: Boolean
    archiveAll: Boolean
    archiveRead: Boolean
    updatePreferenceV2(templateId: String!, preferences: PreferencesInput!, accountId: String): RecipientPreference
    unpin(messageId: String!): Boolean
    addTag(messageId: String!, tag: String!): Boolean
    removeTag(messageId: String!, tag: String!): Boolean
    trackEvent(trackingId: String!): TrackEventResult
    batchTrackEvent(eventType: String!): BatchTrackEventResult
  }

  type InboxConnection { totalCount: Int!  pageInfo: PageInfo!  nodes: [InboxMessage!]! }
  type PageInfo {
    "What to pass as \`after\` for the following page; null on the last one."
    startCursor: String
    hasNextPage: Boolean!
  }
  type InboxMessage {
    messageId: String!
    accountId: String
    created: String!
    title: String
    body: String
    preview: String
    icon: String
    read: String
    opened: String
    archived: String
    data: JSON
    tags: [String!]
    actions(version: Int): [InboxAction!]
    trackingIds: InboxTrackingIds
    pinned: InboxPin
    content: InboxMessageContent
  }
  type InboxAction { content: String  href: String  data: JSON  background_color: String  style: String }
  type InboxTrackingIds {
    archiveTrackingId: String
    openTrackingId: String
    clickTrackingId: String
    deliverTrackingId: String
    readTrackingId: String
    unreadTrackingId: String
  }
  type InboxPin { slotId: String }
  type InboxMessageContent {
    title: String
    preview: String
    html: String
    actions: [InboxAction!]
    elemental: [ElementalNode!]
  }
  union ElementalNode = TextElement | ActionElement
  type TextElement { type: String  content: String }
  type ActionElement { type: String  content: String  href: String  background_color: String  data: JSON }

  type RecipientPreferenceConnection { nodes: [RecipientPreference!]! }
  type RecipientPreference {
    templateId: String!
    templateName: String
    sectionId: String
    sectionName: String
    defaultStatus: PreferenceStatus
    status: PreferenceStatus
    digestSchedule: String
    hasCustomRouting: Boolean
    routingPreferences: [ChannelClassification!]
  }
  type DigestScheduleOption {
    scheduleId: String!
    period: String
    recurrence: String
    repeat: JSON
    repetition: String
    start: String
    default: Boolean
    timezone: String
    end: JSON
  }
  type PreferencePage {
    showCourierFooter: Boolean
    heading: String
    description: String
    brand(brandId: String): Brand
    channelConfigs: ChannelConfigs
    sections: PreferenceSectionConnection!
  }
  type ChannelConfigs { channelLabels: [ChannelLabel!]! }
  type ChannelLabel { channel: ChannelClassification!  name: String }
  type PreferenceSectionConnection { nodes: [PreferenceSection!]! }
  type PreferenceSection {
    sectionId: String!
    name: String
    description: String
    hasCustomRouting: Boolean
    routingOptions: [ChannelClassification!]
    topics: PreferenceTopicConnection!
  }
  type PreferenceTopicConnection { nodes: [PreferenceTopic!]! }
  type PreferenceTopic {
    templateId: String!
    templateName: String
    description: String
    defaultStatus: PreferenceStatus
    data: JSON
    digestSchedules: JSON
  }

  type Brand {
    id: String
    name: String
    settings: BrandSettings
    logo: BrandLogo
    links: JSON
    preferenceTemplates: PreferenceTopicConnection
  }
  type BrandLogo { href: String  image: String }
  type BrandSettings { colors: BrandColors  inapp: BrandInApp }
  type BrandColors { primary: String  secondary: String  tertiary: String }
  type BrandInApp {
    borderRadius: String
    disableCourierFooter: Boolean
    disableMessageIcon: Boolean
    placement: String
    renderActionsAsButtons: Boolean
    emptyState: BrandEmptyState
    widgetBackground: BrandWidgetBackground
    colors: BrandInAppColors
    icons: BrandIcons
    slots: [BrandSlot!]
    toast: BrandToast
  }
  type BrandEmptyState { textColor: String  text: String }
  type BrandWidgetBackground { topColor: String  bottomColor: String }
  type BrandInAppColors { invertHeader: Boolean  invertButtons: Boolean }
  type BrandIcons { bell: String  message: String }
  type BrandSlot { id: String  label: BrandSlotText  icon: BrandSlotText }
  type BrandSlotText { value: String  color: String }
  type BrandToast { timerAutoClose: Int  borderRadius: String }

  type TrackEventResult { id: String }
  type BatchTrackEventResult { ids: [String!] }
  type BannerConnection { totalCount: Int!  pageInfo: PageInfo!  nodes: [BannerNode!]! }
  type BannerNode {
    id: String
    userId: String
    messageId: String
    created: String
    tags: [String!]
    content: BannerContent
  }
  type BannerContent {
    title: String
    body: String
    data: JSON
    blocks: [BannerBlock!]
    trackingIds: InboxTrackingIds
  }
  union BannerBlock = TextBlock | ActionBlock
  type TextBlock { type: String  text: String }
  type ActionBlock { type: String  text: String  url: String }
`;

export type Resolvers<Context> = { readonly [field: string]: GraphQLFieldResolver<unknown, Context> };

export interface CourierSchema {
  /** For checking any document and for running queries. */
  readonly schema: GraphQLSchema;
  /**
   * The mutations as if they were queries: GraphQL calls the resolvers of a query all in one turn, in the order of the
   * document, where it would call those of a mutation one after the other's end. See `MutationSteps`.
   */
  readonly mutationsAtOnce: GraphQLSchema;
}

/** Built once; fields without a resolver are read from the property of their name. */
export function courierSchema<Context>(queries: Resolvers<Context>, mutations: Resolvers<Context>): CourierSchema {
  const schema = buildSchema(SDL);
  const queryType = schema.getQueryType();
  const mutationType = schema.getMutationType();
  if (queryType == null || mutationType == null) throw new Error("the schema lacks a root type");
  for (const [name, field] of Object.entries(queryType.getFields())) field.resolve = need(queries, name);
  for (const [name, field] of Object.entries(mutationType.getFields())) field.resolve = need(mutations, name);
  Object.assign(schema.getType("DateFilter") as GraphQLScalarType, {
    parseValue: parseDateFilter,
    parseLiteral: (node: ValueNode) => parseDateFilter(literalOf(node)),
  });
  return {
    schema,
    mutationsAtOnce: new GraphQLSchema({
      query: mutationType,
      types: Object.values(schema.getTypeMap()).filter(isOwn),
    }),
  };
}

function isOwn(type: { readonly name: string }): boolean {
  return !type.name.startsWith("__") && type.name !== "Query" && type.name !== "Mutation";
}

function need<Context>(resolvers: Resolvers<Context>, name: string): GraphQLFieldResolver<unknown, Context> {
  const resolver = resolvers[name];
  if (resolver === undefined) throw new Error(`no resolver for ${name}`);
  return resolver;
}

const DIGITS = /^-?\d{1,16}$/;
/** The last moment a Date can hold. */
const LAST_MOMENT_MS = 8.64e15;

function parseDateFilter(value: unknown): number {
  const at = typeof value === "string" ? (DIGITS.test(value) ? Number(value) : parseIso(value)) : value;
  if (typeof at !== "number" || !(Math.abs(at) <= LAST_MOMENT_MS)) {
    throw new GraphQLError("DateFilter must be an ISO 8601 date or milliseconds since 1970");
  }
  // Created then or later: a fraction of a millisecond excludes the millisecond it is in.
  return Math.ceil(at);
}

function literalOf(node: ValueNode): unknown {
  if (node.kind === Kind.STRING) return node.value;
  return node.kind === Kind.INT || node.kind === Kind.FLOAT ? Number(node.value) : undefined;
}
