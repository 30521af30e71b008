//! Addresses as text and back, on the stack: what `std` does through its formatting machinery costs several times as much, and
//! each message has a handful of them. The texts are the same as `std`'s.

use std::io::{Cursor, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An address or a number as text.
#[derive(Debug, Clone, Copy)]
pub struct AddressText {
    /// The longest, an IPv6 address with scope and port, takes 58 bytes.
    bytes: [u8; 64],
    len: usize,
}

impl AddressText {
    const EMPTY: Self = Self {
        bytes: [0; 64],
        len: 0,
    };

    /// `192.0.2.1`, `2001:db8::1`.
    pub fn ip(address: IpAddr) -> Self {
        let mut text = Self::EMPTY;
        text.push_ip(address);
        text
    }

    /// `192.0.2.1:5060`, `[2001:db8::1]:5060`.
    pub fn socket(address: SocketAddr) -> Self {
        let mut text = Self::EMPTY;
        match address {
            SocketAddr::V4(address) => {
                text.push_ip(IpAddr::V4(*address.ip()));
                text.push(b':');
                text.push_number(address.port());
            }
            SocketAddr::V6(_) => text.push_display(&address),
        }
        text
    }

    /// A port.
    pub fn number(number: u16) -> Self {
        let mut text = Self::EMPTY;
        text.push_number(number);
        text
    }

    /// The text's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn push_ip(&mut self, address: IpAddr) {
        let IpAddr::V4(address) = address else {
            return self.push_display(&address);
        };
        let [first, rest @ ..] = address.octets();
        self.push_number(first.into());
        for octet in rest {
            self.push(b'.');
            self.push_number(octet.into());
        }
    }

    fn push_number(&mut self, number: u16) {
        let mut leading = true;
        for unit in [10_000, 1000, 100, 10, 1] {
            let digit = number / unit % 10;
            leading = leading && digit == 0 && unit > 1;
            if !leading {
                self.push(b'0' + digit as u8);
            }
        }
    }

    fn push_display(&mut self, address: &dyn std::fmt::Display) {
        let mut rest = Cursor::new(self.bytes.get_mut(self.len..).unwrap_or_default());
        // What does not fit is cut off: nothing is so long.
        let _ = write!(rest, "{address}");
        self.len += usize::try_from(rest.position()).unwrap_or(0);
    }
}

/// Reads `192.0.2.1`: four decimal numbers without leading zeros.
pub(crate) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split(|byte| *byte == b'.');
    for octet in &mut octets {
        *octet = match parts.next()? {
            [one] => digit(*one)?,
            [ten @ b'1'..=b'9', one] => digit(*ten)? * 10 + digit(*one)?,
            [hundred @ b'1'..=b'2', ten, one] => {
                let low = digit(*ten)? * 10 + digit(*one)?;
                (digit(*hundred)? * 100).checked_add(low)?
            }
            _ => return None,
        };
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

fn digit(byte: u8) -> Option<u8> {
    byte.checked_sub(b'0').filter(|digit| *digit < 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_keep_their_zeros_but_leading_ones() {
        for number in [0, 7, 10, 70, 100, 101, 5060, 10_000, 65_535] {
            assert_eq!(AddressText::number(number).as_str(), number.to_string());
        }
    }

    proptest! {
        #[test]
        fn texts_are_those_of_std(ip in any::<IpAddr>(), port in any::<u16>(), scope in any::<u32>()) {
            let text = AddressText::ip(ip);
            prop_assert_eq!(text.as_str(), ip.to_string());
            let mut address = SocketAddr::new(ip, port);
            if let SocketAddr::V6(address) = &mut address {
                address.set_scope_id(scope);
            }
            let text = AddressText::socket(address);
            prop_assert_eq!(text.as_str(), address.to_string());
        }

        #[test]
        fn ipv4_reads_what_std_reads(
            text in prop_oneof![
                any::<Ipv4Addr>().prop_map(|address| address.to_string()),
                "[0-9]{1,3}(\\.[0-9]{0,4}){2,4}",
                "[0-9.a]{0,16}",
            ]
        ) {
            prop_assert_eq!(ipv4(text.as_bytes()), text.parse().ok());
        }
    }
}
