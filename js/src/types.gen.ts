//! Made by `cargo test` from the types of the core (`src/page.rs`); not to be edited.

export type Purpose = "store" | "profile" | "personalise" | "measure" | "share";

export type Reason = "granted" | "allowed_by_region" | "no_consent" | "denied_by_person" | "denied_by_device" | "denied_by_gpc" | "denied_by_signal" | "denied_by_workspace" | "needs_store" | "needs_profile";

export type Region = {
  /**
   * `DE`, `US`; empty where unknown.
   */
  country: string,
  /**
   * `CA` of `US-CA`; empty where unknown.
   */
  subdivision: string,
};

export type ChoiceState = "none" | "made";

export type ConsentAnswer = {
  /**
   * Where the request comes from.
   */
  region: Region,
  /**
   * Whether the visitor ever chose.
   */
  choice: ChoiceState,
  /**
   * What is allowed now: one entry per purpose.
   */
  purposes: Record<Purpose, boolean>,
  /**
   * Why: one entry per purpose.
   */
  reasons: Record<Purpose, Reason>,
};

export type PageImage = {
  /**
   * A path on this site that names the workspace's version.
   */
  url: string,
};

export type Exposure = {
  /**
   * The experiment's name; that of a holdout begins with `holdout.`.
   */
  experiment: string,
  /**
   * The variant's name.
   */
  variant: string,
};

export type PageDecision = {
  /**
   * Which placement.
   */
  placement: string,
  /**
   * The winner's key; None where the page kept its own content.
   */
  offer: string | null,
  /**
   * The winner's variant.
   */
  variant: string | null,
  /**
   * Stable code, as in a decision.
   */
  reason: string,
  /**
   * Names the decision in impressions and clicks.
   */
  decision: string,
  /**
   * The experiments that decided what stands there.
   */
  exposures: Array<Exposure>,
};

export type PageState = {
  /**
   * The format's version, 1.
   */
  version: number,
  /**
   * The edge's clock when it made the page, so that a wrong clock of the browser does not
   * change a decision.
   */
  now: number,
  /**
   * The workspace's version.
   */
  workspace: string,
  /**
   * The consent as it stands, with the region.
   */
  consent: ConsentAnswer,
  /**
   * The request's fields as the edge read them; the page puts its own path over them.
   */
  request: Record<string, string>,
  /**
   * The workspace image for in-page decisions.
   */
  image: PageImage,
  /**
   * What stands in this page's placements.
   */
  decisions: Array<PageDecision>,
};

export type FieldKind = "text" | "link" | "image";

export type ContentField = {
  /**
   * Its name.
   */
  name: string,
  /**
   * How to place it.
   */
  kind: FieldKind,
  /**
   * Its text, values filled in.
   */
  text: string,
};

export type OfferTrace = {
  /**
   * Which offer.
   */
  offer: string,
  /**
   * Stable code.
   */
  code: string,
  /**
   * The same as a sentence; empty in pages.
   */
  sentence: string,
};

export type Decision = {
  /**
   * Which placement.
   */
  placement: string,
  /**
   * The winner's key; None is an answer, not an error.
   */
  offer: string | null,
  /**
   * The winner's variant.
   */
  variant: string | null,
  /**
   * Stable code: `won`, `no_offer`, `unknown_placement`.
   */
  reason: string,
  /**
   * Names this decision in impressions and clicks: a hash of workspace, placement, offer, time.
   */
  decision: string,
  /**
   * The content, values filled in, nothing escaped yet.
   */
  content: Array<ContentField>,
  /**
   * The language of the content.
   */
  language: string,
  /**
   * The workspace's version.
   */
  workspace: string,
  /**
   * The experiments that decided what stands there.
   */
  exposures: Array<Exposure>,
  /**
   * Why each offer won or lost, where asked for.
   */
  trace: Array<OfferTrace>,
};

export type DecideAnswer = {
  /**
   * One per placement asked for, in that order.
   */
  decisions: Array<Decision>,
};

export type LoginAnswer = {
  /**
   * Whether the device is linked to the person now.
   */
  linked: boolean,
  /**
   * Whether what was seen before came along.
   */
  attached: boolean,
  /**
   * Stable code of why it was not linked.
   */
  refused: string | null,
};
