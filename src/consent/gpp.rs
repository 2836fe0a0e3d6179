//! The Global Privacy Platform string: a header that names sections, then the sections. Layout:
//! IAB Tech Lab, "Global Privacy Platform String", sections "GPP String Format" and "Section
//! Encoding"; identifiers and names: "Section Information".
//!
//! A section that cannot be read, or that nobody here knows, stays in the result as an error and
//! takes no other section with it; whoever asks it anything gets the strictest answer.
//!
//! It must never know where the visitor is, or which section applies to her.

pub mod canada;
pub mod us;

use alloc::string::String;
use alloc::vec::Vec;

use self::canada::CanadaTc;
use self::us::UsSection;
use super::bits::{BitWriter, Bits, DecodeError, MAX_ID, MAX_STRING_BYTES, Problem};
use super::tcf::{TcString, TcfOptions};
use super::usp::{OptOut, UsPrivacy};
use super::vendors::{Coding, IdSet};

/// The most sections that a string may have. 27 are registered; room for three times as many
/// keeps a hostile header from turning a short text into a long list of errors.
pub const MAX_SECTIONS: usize = 96;

/// A section that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Section {
    /// Section 2.
    TcfEu(TcString),
    /// Section 5.
    TcfCanada(CanadaTc),
    /// Section 6.
    UsPrivacy(UsPrivacy),
    /// Section 7, the United States as a whole, and 8 to 27, single states.
    Us(UsSection),
}

/// One place in the string: what the header announced, and what was found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GppSection {
    /// The identifier in the header.
    pub id: u16,
    /// The section, or why it could not be read.
    pub content: Result<Section, DecodeError>,
}

impl GppSection {
    /// The name of the section in GPP's interfaces, if it is registered.
    pub fn name(&self) -> Option<&'static str> {
        section_name(self.id)
    }

    /// What the section says about the sale of personal data.
    pub fn sale_opt_out(&self) -> OptOut {
        self.opt_out(UsPrivacy::sale_opt_out, UsSection::sale_opt_out)
    }

    /// What the section says about sharing for advertising across contexts (California's word).
    pub fn sharing_opt_out(&self) -> OptOut {
        self.opt_out(|_| OptOut::NotApplicable, UsSection::sharing_opt_out)
    }

    /// What the section says about targeted advertising (the other states' word).
    pub fn targeted_advertising_opt_out(&self) -> OptOut {
        self.opt_out(|_| OptOut::NotApplicable, UsSection::targeted_advertising_opt_out)
    }

    /// Global Privacy Control, as the section passes it on.
    pub fn gpc(&self) -> OptOut {
        self.opt_out(|_| OptOut::NotApplicable, UsSection::gpc)
    }

    fn opt_out(
        &self,
        privacy: impl FnOnce(&UsPrivacy) -> OptOut,
        state: impl FnOnce(&UsSection) -> OptOut,
    ) -> OptOut {
        match &self.content {
            Ok(Section::UsPrivacy(section)) => privacy(section),
            Ok(Section::Us(section)) => state(section),
            Ok(Section::TcfEu(_) | Section::TcfCanada(_)) => OptOut::NotApplicable,
            // Sections 1 to 5 belong to other parts of the world; their faults are not American.
            Err(_) if self.id < 6 => OptOut::NotApplicable,
            Err(_) => OptOut::Unreadable,
        }
    }
}

/// A GPP string, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpp {
    /// In the order of the string; identifiers ascend.
    pub sections: Vec<GppSection>,
}

impl Gpp {
    /// Decodes a GPP string. Only a header that cannot be trusted refuses the whole string.
    pub fn decode(input: &str, options: &TcfOptions) -> Result<Self, DecodeError> {
        if input.len() > MAX_STRING_BYTES {
            return Err(DecodeError::new(Problem::TooLong, MAX_STRING_BYTES));
        }
        let mut parts = input.split('~');
        let header = parts.next().unwrap_or_default();
        let ids = read_header(header)?;
        let count = parts.clone().count();
        if ids.len() != count || count > MAX_SECTIONS {
            return Err(DecodeError::new(Problem::SectionCountMismatch, header.len()));
        }
        let mut at = header.len() + 1;
        let mut sections = Vec::with_capacity(count);
        for (id, text) in ids.iter().zip(parts) {
            sections.push(GppSection { id, content: read_section(id, text, at, options) });
            at += text.len() + 1;
        }
        Ok(Self { sections })
    }

    /// The section with this identifier, if the header names it.
    pub fn section(&self, id: u16) -> Option<&GppSection> {
        self.sections.iter().find(|section| section.id == id)
    }

    /// The European TC string in section 2, if it could be read.
    pub fn tcf_eu(&self) -> Option<&TcString> {
        match &self.section(2)?.content {
            Ok(Section::TcfEu(string)) => Some(string),
            _ => None,
        }
    }

    /// Writes the sections that could be read.
    pub fn encode(&self) -> String {
        let readable = self.sections.iter().filter_map(|section| {
            let content = section.content.as_ref().ok()?;
            Some((section.id, content))
        });
        let mut out = BitWriter::default();
        out.int(3, 6);
        out.int(1, 6);
        let ids = readable.clone().map(|(id, _)| id);
        IdSet::from_ids(ids).write_ranges(&mut out, Coding::Fibonacci);
        let mut text = out.finish();
        for (_, content) in readable {
            text.push('~');
            text.push_str(&match content {
                Section::TcfEu(section) => section.encode(),
                Section::TcfCanada(section) => section.encode(),
                Section::UsPrivacy(section) => section.encode(),
                Section::Us(section) => section.encode(),
            });
        }
        text
    }
}

/// The header: type 3, version 1, the identifiers as Fibonacci ranges. Never expanded here.
fn read_header(header: &str) -> Result<IdSet, DecodeError> {
    let mut bits = Bits::new(header, 0)?;
    if bits.int(6)? != 3 {
        return Err(DecodeError::new(Problem::UnknownFormat, 0));
    }
    let version_at = bits.error(Problem::UnsupportedVersion);
    if bits.int(6)? != 1 {
        return Err(version_at);
    }
    let ids = IdSet::read_ranges(&mut bits, Coding::Fibonacci, MAX_ID)?;
    bits.finish()?;
    Ok(ids)
}

fn read_section(
    id: u16,
    text: &str,
    at: usize,
    options: &TcfOptions,
) -> Result<Section, DecodeError> {
    if let Some(layout) = us::layout(id) {
        return UsSection::decode_at(layout, text, at).map(Section::Us);
    }
    match id {
        2 => TcString::decode_at(text, at, options).map(Section::TcfEu),
        5 => CanadaTc::decode_at(text, at).map(Section::TcfCanada),
        6 => UsPrivacy::decode_at(text, at).map(Section::UsPrivacy),
        _ => Err(DecodeError::new(Problem::UnknownSection, at)),
    }
}

/// The registered name of a section.
pub fn section_name(id: u16) -> Option<&'static str> {
    match id {
        1 => Some("tcfeuv1"),
        2 => Some("tcfeuv2"),
        5 => Some("tcfcav1"),
        6 => Some("uspv1"),
        _ => us::layout(id).map(|layout| layout.name),
    }
}
