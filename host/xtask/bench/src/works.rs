//! The works that are compared: what is asked of the servers, by which script, and how the phones ask it.

use clap::ValueEnum;

/// One kind of work, by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Work {
    /// OPTIONS answered by the server.
    Options,
    /// MESSAGE relayed statefully to one next hop.
    Message,
    /// INVITE 180 200 ACK BYE 200, record-routed.
    Call,
    /// REGISTER of a user, refreshed again and again.
    Register,
    /// REGISTER challenged, then accepted.
    RegisterAuth,
    /// MESSAGE to a registered user.
    Lookup,
    /// MESSAGE relayed without a transaction.
    Stateless,
}

/// What routes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// examples/default, with or without authentication.
    Default { auth: bool },
    /// The trunk beside this crate, with or without transactions.
    Trunk { stateless: bool },
}

impl Work {
    /// Its name on the command line and in results; the scenario of the phones has the same.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Options => "options",
            Work::Message => "message",
            Work::Call => "call",
            Work::Register => "register",
            Work::RegisterAuth => "register-auth",
            Work::Lookup => "lookup",
            Work::Stateless => "stateless",
        }
    }

    /// What a person calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Work::Options => "OPTIONS answered",
            Work::Message => "MESSAGE relayed, stateful",
            Work::Call => "full call",
            Work::Register => "REGISTER",
            Work::RegisterAuth => "REGISTER with digest",
            Work::Lookup => "lookup + relay",
            Work::Stateless => "stateless relay",
        }
    }

    /// The most CPU that we mean to take, Kamailio's native script being 1.
    pub(crate) fn target(self) -> f64 {
        match self {
            Work::Options | Work::RegisterAuth | Work::Stateless => 0.6,
            Work::Message | Work::Call => 0.4,
            Work::Register => 0.5,
            Work::Lookup => 0.45,
        }
    }

    /// Datagrams that the server must take in and send out for one of it, as pairs: what the kernel alone costs is so many
    /// echoes.
    pub(crate) fn echoes(self) -> f64 {
        match self {
            Work::Options | Work::Register => 1.0,
            Work::Message | Work::Lookup | Work::Stateless | Work::RegisterAuth => 2.0,
            // in: INVITE 180 200 ACK BYE 200; out: these and 100
            Work::Call => 6.5,
        }
    }

    /// What routes it.
    pub(crate) fn script(self) -> Script {
        match self {
            Work::Options | Work::Register | Work::Lookup => Script::Default { auth: false },
            Work::RegisterAuth => Script::Default { auth: true },
            Work::Message | Work::Call => Script::Trunk { stateless: false },
            Work::Stateless => Script::Trunk { stateless: true },
        }
    }

    /// Whether it leaves transactions behind, whose clean-up comes after the measured time.
    pub(crate) fn leaves_transactions(self) -> bool {
        matches!(self, Work::Message | Work::Call | Work::Lookup)
    }

    /// Phones of each role.
    pub(crate) fn users(self) -> u32 {
        match self {
            Work::Register | Work::RegisterAuth | Work::Lookup => 1000,
            Work::Options | Work::Message | Work::Call | Work::Stateless => 1,
        }
    }

    /// What to tell the phones beside target, load and duration.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            // the request names the user, and the server knows where to
            Work::Message | Work::Call | Work::Stateless => &["--dial", "aor", "--no-register"],
            // it registers all of them before it begins
            Work::Lookup => &["--dial", "aor"],
            Work::Options | Work::Register | Work::RegisterAuth => &["--no-register"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_are_called_the_same_everywhere() {
        for work in Work::value_variants() {
            let value = work.to_possible_value().unwrap();
            assert_eq!(value.get_name(), work.name());
        }
    }
}
