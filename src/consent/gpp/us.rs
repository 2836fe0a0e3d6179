//! GPP sections 7 to 27: the United States as a whole and its states. All have one shape, fields of
//! two bits behind a version, so that one reader and one table do for them.
//!
//! It must never know the law behind a field, only its place and its numbers.

mod layout;

use alloc::string::String;
use alloc::vec::Vec;

use self::layout::{
    ADVERTISING, ADVERTISING_NOTICE, SALE, SALE_NOTICE, SHARING, SHARING_OPT_OUT_NOTICE,
    national_layout,
};
use crate::consent::bits::{BitWriter, Bits, DecodeError, Problem};
use crate::consent::usp::OptOut;

pub use self::layout::{Extra, Field, Layout, VersionField, layout};

/// A section of the United States, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsSection {
    layout: &'static Layout,
    version: u8,
    /// Answers in the order of the layout, as many for each field as it keeps.
    answers: Vec<u8>,
    gpc: Option<bool>,
    sensitive_data: Option<[u8; 8]>,
}

impl UsSection {
    /// Reads the core and what follows it after a dot.
    pub(crate) fn decode_at(
        layout: &'static Layout,
        text: &str,
        base: usize,
    ) -> Result<Self, DecodeError> {
        let mut segments = text.split('.');
        let core = segments.next().unwrap_or_default();
        let mut bits = Bits::new(core, base)?;
        let version_at = bits.error(Problem::UnsupportedVersion);
        let version = bits.byte(6)?;
        // The specifications of sections 24 to 27 speak of a header in front of the core that
        // starts with the section's number. No known encoder writes it, and its list of
        // subsections cannot hold the core's number, zero. Such a text is refused, not guessed at.
        if layout.version == VersionField::Agreement && u16::from(version) == layout.id {
            return Err(version_at);
        }
        let layout = if layout.id == 7 { national_layout(version, core.len()) } else { layout };
        let mut section =
            Self { layout, version, answers: Vec::new(), gpc: None, sensitive_data: None };
        for field in layout.fields {
            section.read_field(field, &mut bits)?;
        }
        bits.finish()?;
        let mut at = base + core.len() + 1;
        for segment in segments {
            section.read_extra(Bits::new(segment, at)?)?;
            at += segment.len() + 1;
        }
        Ok(section)
    }

    fn read_field(&mut self, field: &Field, bits: &mut Bits<'_>) -> Result<(), DecodeError> {
        for index in 0..field.coded.max(field.kept) {
            let at = bits.error(Problem::TrailingData);
            let answer = if index < field.coded { bits.byte(2)? } else { 0 };
            if index < field.kept {
                self.answers.push(answer);
            } else if answer != 0 {
                return Err(at);
            }
        }
        Ok(())
    }

    fn read_extra(&mut self, mut bits: Bits<'_>) -> Result<(), DecodeError> {
        let at = bits.at();
        match self.layout.extra {
            Extra::None => return Err(DecodeError::new(Problem::UnknownSegment, at)),
            Extra::Gpc if self.gpc.is_some() => {
                return Err(DecodeError::new(Problem::DuplicateSegment, at));
            }
            Extra::Gpc => {
                if bits.int(2)? != 1 {
                    return Err(DecodeError::new(Problem::UnknownSegment, at));
                }
                self.gpc = Some(bits.flag()?);
            }
            Extra::SensitiveData if self.sensitive_data.is_some() => {
                return Err(DecodeError::new(Problem::DuplicateSegment, at));
            }
            Extra::SensitiveData => {
                let mut answers = [0; 8];
                for answer in &mut answers {
                    *answer = bits.byte(2)?;
                }
                self.sensitive_data = Some(answers);
            }
        }
        bits.finish()
    }

    /// A section of the given layout, version and answers; `None` unless there is an answer from 0
    /// to 3 for each place, and the extra fits. For tests, examples and encoders.
    pub fn new(
        layout: &'static Layout,
        answers: &[u8],
        gpc: Option<bool>,
        sensitive_data: Option<[u8; 8]>,
    ) -> Option<Self> {
        let version = layout.version.first()?;
        let expected: usize = layout.fields.iter().map(|field| usize::from(field.kept)).sum();
        let fits = answers.len() == expected
            && answers.iter().chain(sensitive_data.iter().flatten()).all(|answer| *answer <= 3)
            && (gpc.is_none() || layout.extra == Extra::Gpc)
            && (sensitive_data.is_none() || layout.extra == Extra::SensitiveData);
        fits.then(|| Self { layout, version, answers: answers.to_vec(), gpc, sensitive_data })
    }

    /// Where the fields stand.
    pub fn layout(&self) -> &'static Layout {
        self.layout
    }

    /// The number in front: the section's version, or the agreement's.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Whether the answers mean what this code thinks they mean.
    pub fn is_known_version(&self) -> bool {
        self.layout.version.is_known(self.version)
    }

    /// Each field with its answers, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'static Field, &[u8])> {
        let mut rest = self.answers.as_slice();
        self.layout.fields.iter().map(move |field| {
            let (answers, after) =
                rest.split_at_checked(usize::from(field.kept)).unwrap_or((rest, &[]));
            rest = after;
            (field, answers)
        })
    }

    /// The answer of a field that has one.
    pub fn answer(&self, name: &str) -> Option<u8> {
        let (_, answers) = self.fields().find(|(field, _)| field.name == name)?;
        match answers {
            [answer] => Some(*answer),
            _ => None,
        }
    }

    /// The consents to sensitive data that follow the core of sections 25 to 27.
    pub fn sensitive_data(&self) -> Option<[u8; 8]> {
        self.sensitive_data
    }

    /// The Global Privacy Control segment, if there is one.
    pub fn gpc_segment(&self) -> Option<bool> {
        self.gpc
    }

    fn opt_out(&self, notice: &Field, choice: &Field) -> OptOut {
        if !self.is_known_version() {
            return OptOut::Unreadable;
        }
        match (self.answer(notice.name), self.answer(choice.name)) {
            (Some(notice), Some(choice)) => OptOut::from_fields(notice, choice),
            _ => OptOut::NotApplicable,
        }
    }

    /// What the section says about the sale of personal data.
    pub fn sale_opt_out(&self) -> OptOut {
        self.opt_out(&SALE_NOTICE, &SALE)
    }

    /// What the section says about sharing.
    pub fn sharing_opt_out(&self) -> OptOut {
        self.opt_out(&SHARING_OPT_OUT_NOTICE, &SHARING)
    }

    /// What the section says about targeted advertising.
    pub fn targeted_advertising_opt_out(&self) -> OptOut {
        self.opt_out(&ADVERTISING_NOTICE, &ADVERTISING)
    }

    /// Global Privacy Control: opted out if set, did not if passed on as unset, else not covered.
    pub fn gpc(&self) -> OptOut {
        match self.gpc {
            _ if !self.is_known_version() => OptOut::Unreadable,
            Some(true) => OptOut::OptedOut,
            Some(false) => OptOut::DidNotOptOut,
            None => OptOut::NotApplicable,
        }
    }

    /// Writes the section.
    pub fn encode(&self) -> String {
        let mut out = BitWriter::default();
        out.int(u64::from(self.version), 6);
        for (field, answers) in self.fields() {
            for index in 0..field.coded {
                let answer = answers.get(usize::from(index)).copied().unwrap_or(0);
                out.int(u64::from(answer), 2);
            }
        }
        let mut text = out.finish();
        if let Some(gpc) = self.gpc {
            let mut out = BitWriter::default();
            out.int(1, 2);
            out.flag(gpc);
            text.push('.');
            text.push_str(&out.finish());
        }
        if let Some(answers) = self.sensitive_data {
            let mut out = BitWriter::default();
            for answer in answers {
                out.int(u64::from(answer), 2);
            }
            text.push('.');
            text.push_str(&out.finish());
        }
        text
    }
}
