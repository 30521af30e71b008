//! Request methods.

use std::fmt;

macro_rules! methods {
    ($($method:ident $name:literal)*) => {
        /// A request method: those of RFC 3261 and its extensions by name, any other as it is written. Case matters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Method<'a> {
            $(
                #[doc = concat!("`", $name, "`")]
                $method,
            )*
            /// Any other.
            Other(&'a str),
        }

        impl<'a> Method<'a> {
            /// The method of that name.
            pub fn of(name: &'a str) -> Method<'a> {
                Method::known(name.as_bytes()).unwrap_or(Method::Other(name))
            }

            /// The method of that name, where it is one of those above.
            pub(crate) fn known(name: &[u8]) -> Option<Method<'static>> {
                $(
                    if name == $name.as_bytes() {
                        return Some(Method::$method);
                    }
                )*
                None
            }

            /// Its name.
            pub fn as_str(self) -> &'a str {
                match self {
                    $(Method::$method => $name,)*
                    Method::Other(name) => name,
                }
            }
        }
    };
}

methods! {
    Invite "INVITE"
    Ack "ACK"
    Bye "BYE"
    Cancel "CANCEL"
    Options "OPTIONS"
    Register "REGISTER"
    Prack "PRACK"
    Update "UPDATE"
    Info "INFO"
    Message "MESSAGE"
    Subscribe "SUBSCRIBE"
    Notify "NOTIFY"
    Publish "PUBLISH"
    Refer "REFER"
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
