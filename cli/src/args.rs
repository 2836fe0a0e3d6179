//! The command line's shape. It must never hold a secret in a help text: keys come by option or by
//! environment, and are not shown.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Checks, decides and explains workspaces from files; publishes them; moves people's data.
#[derive(Debug, Parser)]
#[command(name = "selvedge", version, propagate_version = true)]
pub struct Arguments {
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show every mistake of a workspace, each at its place
    Check {
        /// The workspace's source
        workspace: PathBuf,
    },
    /// Say which offers a profile gets
    Decide(Which),
    /// Say why each offer wins or loses
    Explain(Which),
    /// Count over many profiles which offers reach whom, win, overlap, and never appear
    Simulate {
        /// The workspace's source
        workspace: PathBuf,
        /// One profile per line; `-` reads standard input
        #[arg(value_name = "PROFILES.ndjson")]
        profiles: PathBuf,
        #[command(flatten)]
        trial: Trial,
    },
    /// Show whose decisions change between two workspaces; exits with 3 where any does
    Diff {
        /// The workspace as it is
        before: PathBuf,
        /// The workspace as it would be
        after: PathBuf,
        /// One profile per line; `-` reads standard input
        #[arg(value_name = "PROFILES.ndjson")]
        profiles: PathBuf,
        #[command(flatten)]
        trial: Trial,
    },
    /// Compile a workspace into the image that pages or servers load
    Image {
        /// The workspace's source
        workspace: PathBuf,
        /// Where the image goes
        out: PathBuf,
        /// Who loads it
        #[arg(long = "for", value_enum, default_value = "evaluator")]
        whom: ImageFor,
    },
    /// Check a workspace and make it the current one of an edge
    Publish {
        /// The workspace's source
        workspace: PathBuf,
        #[command(flatten)]
        edge: Edge,
        /// A JWK whose public half is added to `identity.loginKeys`; the private half stays here
        #[arg(long, value_name = "FILE")]
        login_key: Option<PathBuf>,
    },
    /// Stream a file of NDJSON or CSV into the central store
    Import {
        /// The name of the source: `crm`, `shop`, ...
        source: String,
        /// `.ndjson`, `.jsonl` or `.csv`; `-` reads NDJSON from standard input
        file: PathBuf,
        #[command(flatten)]
        central: Central,
    },
    /// Say how many people of the central store are in each audience of a workspace
    Audiences {
        /// The workspace's source; it need not be published
        workspace: PathBuf,
        /// How many people to look at, at most; absent leaves it to the central store (10,000)
        #[arg(long, value_name = "PEOPLE")]
        sample: Option<u64>,
        /// Where those are taken to be who never chose: `DE`, `US-CA`; absent is unknown, which
        /// leaves them out
        #[arg(long)]
        region: Option<String>,
        #[command(flatten)]
        central: Central,
    },
    /// Print everything that the central store holds of a person
    Export {
        /// The customer's id
        customer_id: String,
        #[command(flatten)]
        central: Central,
    },
    /// Erase a person everywhere, for good
    Erase {
        /// The customer's id
        customer_id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        central: Central,
    },
    /// Consent strings
    Consent {
        #[command(subcommand)]
        command: ConsentCommand,
    },
}

/// Who loads an image.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ImageFor {
    /// A page: its own placements, and no private condition
    Page,
    /// A server that holds profiles itself: everything that decides
    Evaluator,
}

#[derive(Debug, Subcommand)]
pub enum ConsentCommand {
    /// Decode a TC string, a GPP string or a US Privacy string into JSON
    Decode {
        /// The string; `-` reads one per line from standard input
        #[arg(allow_hyphen_values = true)]
        string: String,
        /// Of TC strings also the fields that the official libraries leave out
        #[arg(long)]
        all: bool,
    },
    /// Say in words what each purpose may do by a string, and why
    Explain {
        /// A TC string, a GPP string or a US Privacy string
        #[arg(allow_hyphen_values = true)]
        string: String,
        /// Where the visitor is: `DE`, `US-CA`; absent is unknown
        #[arg(long, default_value = "")]
        region: String,
        /// With `Sec-GPC: 1`
        #[arg(long)]
        gpc: bool,
        /// The site's number in the Global Vendor List; absent reads the publisher's segment
        #[arg(long)]
        vendor: Option<u16>,
    },
    /// Check that the receipts of an export follow one another unchanged
    Verify {
        /// An export of the central store or of the edge, what an erasure left, or receipts
        file: PathBuf,
    },
}

/// What `decide` and `explain` are asked.
#[derive(Debug, Args)]
pub struct Which {
    /// The workspace's source
    #[arg(value_name = "WORKSPACE", required_unless_present = "workspace")]
    workspace_first: Option<PathBuf>,
    /// A file that holds one profile
    #[arg(value_name = "PROFILE", conflicts_with_all = ["profile", "profiles"])]
    profile_second: Option<PathBuf>,
    /// The workspace's source
    #[arg(long, value_name = "FILE")]
    workspace: Option<PathBuf>,
    /// A file that holds one profile
    #[arg(long, value_name = "FILE", conflicts_with = "profiles")]
    profile: Option<PathBuf>,
    /// A file with one profile per line; the answer is one line of JSON each
    #[arg(long, value_name = "FILE.ndjson")]
    pub profiles: Option<PathBuf>,
    /// Only this placement; may be given several times
    #[arg(long, value_name = "NAME")]
    pub placement: Vec<String>,
    /// The time to decide at, instead of the profile's `now` or the clock
    #[arg(long, value_name = "RFC3339")]
    pub now: Option<String>,
    /// A field of the request, over the profile's own; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub request: Vec<String>,
}

impl Which {
    /// The workspace's source and the file with the one profile, wherever they were given.
    pub fn files(&self) -> Option<(&PathBuf, Option<&PathBuf>)> {
        match (&self.workspace, &self.workspace_first, &self.profile_second) {
            // `--workspace W PROFILE`: the only word is the profile.
            (Some(workspace), first, None) => {
                Some((workspace, self.profile.as_ref().or(first.as_ref())))
            }
            (None, Some(workspace), second) => {
                Some((workspace, self.profile.as_ref().or(second.as_ref())))
            }
            _ => None,
        }
    }
}

/// How `simulate` and `diff` ask.
#[derive(Debug, Args)]
pub struct Trial {
    /// Only this placement; may be given several times
    #[arg(long, value_name = "NAME")]
    pub placement: Vec<String>,
    /// The time to decide at, instead of each profile's `now` or the clock
    #[arg(long, visible_alias = "at", value_name = "RFC3339")]
    pub now: Option<String>,
    /// A field of the request, over the profiles' own; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub request: Vec<String>,
}

/// Which edge, and its key.
#[derive(Debug, Args)]
pub struct Edge {
    /// The site's address
    #[arg(long = "edge", value_name = "URL", env = "SELVEDGE_EDGE")]
    pub url: String,
    /// The edge's admin key
    #[arg(long, env = "SELVEDGE_ADMIN_KEY", hide_env_values = true)]
    pub key: String,
}

/// Which central store, and its key.
#[derive(Debug, Args)]
pub struct Central {
    /// The central store's address
    #[arg(long = "central", value_name = "URL", env = "SELVEDGE_CENTRAL")]
    pub url: String,
    /// The central store's key
    #[arg(long, env = "SELVEDGE_CENTRAL_KEY", hide_env_values = true)]
    pub key: String,
}
