//! Methods. Names are compared with case (RFC 3261 7.1); unknown ones are carried as they came.

use std::fmt;

macro_rules! methods {
    ($($variant:ident $name:literal $rfc:literal;)*) => {
        /// A request's method.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Method<'a> {
            $(
                #[doc = concat!("`", $name, "`, ", $rfc)]
                $variant,
            )*
            /// Any other token, as it came.
            Other(&'a [u8]),
        }

        impl<'a> Method<'a> {
            /// Reads a method's name.
            pub fn of(name: &'a [u8]) -> Self {
                $(
                    if name == $name.as_bytes() {
                        return Self::$variant;
                    }
                )*
                Self::Other(name)
            }

            /// The name's bytes.
            pub fn as_bytes(&self) -> &'a [u8] {
                match self {
                    $(Self::$variant => $name.as_bytes(),)*
                    Self::Other(name) => name,
                }
            }
        }
    };
}

methods! {
    Invite "INVITE" "RFC 3261";
    Ack "ACK" "RFC 3261";
    Bye "BYE" "RFC 3261";
    Cancel "CANCEL" "RFC 3261";
    Register "REGISTER" "RFC 3261";
    Options "OPTIONS" "RFC 3261";
    Message "MESSAGE" "RFC 3428";
    Subscribe "SUBSCRIBE" "RFC 6665";
    Notify "NOTIFY" "RFC 6665";
    Publish "PUBLISH" "RFC 3903";
    Prack "PRACK" "RFC 3262";
    Update "UPDATE" "RFC 3311";
    Refer "REFER" "RFC 3515";
    Info "INFO" "RFC 6086";
}

impl<'a> Method<'a> {
    /// The name; a token is ASCII, so this is the name itself for all that the index accepted.
    pub fn as_str(&self) -> &'a str {
        std::str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// True for a method no RFC we know defines.
    pub fn is_other(&self) -> bool {
        matches!(self, Self::Other(_))
    }

    /// True for those whose 2xx (and reliable 1xx) makes a dialog (RFC 3261 12.1, RFC 6665 4.4.1, RFC 3515).
    pub fn makes_dialog(&self) -> bool {
        matches!(
            self,
            Self::Invite | Self::Subscribe | Self::Refer | Self::Notify
        )
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
