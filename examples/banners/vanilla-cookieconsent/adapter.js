//! Hands what the visitor chose in vanilla-cookieconsent to the edge. It must never hand over what
//! the banner only remembers: somebody who withdrew elsewhere would be brought back by it.

/* global CookieConsent, selvedge */

/** Which version of the texts below the visitor saw; the receipt names it. */
const BANNER = "shop-banner-3";

const tag = window.selvedge
  ? Promise.resolve()
  : new Promise((resolve) => {
      document.addEventListener("selvedge:ready", resolve, { once: true });
    });

async function handOver({ cookie }) {
  const yes = (category) => cookie.categories.includes(category);
  const choices = {
    store: yes("personalisation") || yes("measurement") || yes("advertising"),
    profile: yes("personalisation"),
    personalise: yes("personalisation"),
    measure: yes("measurement"),
    share: yes("advertising"),
  };
  await tag;
  await selvedge.consent(choices, { banner: BANNER });
}

CookieConsent.run({
  onFirstConsent: handOver,
  onChange: handOver,
  categories: {
    necessary: { enabled: true, readOnly: true },
    personalisation: {},
    measurement: {},
    advertising: {},
  },
  language: {
    default: "en",
    translations: {
      en: {
        consentModal: {
          title: "Your choice",
          description: "May this shop remember what you look at?",
          acceptAllBtn: "Accept all",
          acceptNecessaryBtn: "Reject all",
          showPreferencesBtn: "Choose",
        },
        preferencesModal: {
          title: "Privacy settings",
          acceptAllBtn: "Accept all",
          acceptNecessaryBtn: "Reject all",
          savePreferencesBtn: "Save",
          closeIconLabel: "Close",
          sections: [
            { title: "Offers for you", linkedCategory: "personalisation" },
            { title: "Counting visits", linkedCategory: "measurement" },
            { title: "Advertising elsewhere", linkedCategory: "advertising" },
          ],
        },
      },
    },
  },
});
