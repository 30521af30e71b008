//! An opinion from outside: Wireshark's dissector on what the daemon sent.

use std::net::SocketAddr;
use std::process::Command;

use crate::Place;

/// Datagrams, as they were sent.
#[derive(Default)]
pub struct Capture {
    packets: Vec<Vec<u8>>,
}

impl Capture {
    /// Add a datagram that went from one address to another.
    pub fn add(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        let (SocketAddr::V4(from), SocketAddr::V4(to)) = (from, to) else {
            panic!("only IPv4 is captured");
        };
        let udp = u16::try_from(payload.len() + 8).expect("a datagram's length");
        let mut packet = vec![0x45, 0];
        packet.extend((udp + 20).to_be_bytes());
        // identification, no fragments, time to live, UDP, no checksum: nobody checks it here
        packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
        packet.extend(from.ip().octets());
        packet.extend(to.ip().octets());
        packet.extend(from.port().to_be_bytes());
        packet.extend(to.port().to_be_bytes());
        packet.extend(udp.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(payload);
        self.packets.push(packet);
    }

    /// What the dissector makes of each: method or status; and what it complains of.
    pub fn dissect(&self, place: &Place) -> (Vec<String>, Vec<String>) {
        let file = place.dir().join("sent.pcap");
        std::fs::write(&file, self.pcap()).expect("a capture file");
        let tshark = |filter: &str, fields: &[&str]| {
            let mut command = Command::new("tshark");
            // SIP on any port; nothing else is in the file
            command
                .args(["-n", "-d", "udp.port==1-65535,sip", "-r"])
                .arg(&file)
                .args(["-Y", filter, "-T", "fields"]);
            for field in fields {
                command.args(["-e", field]);
            }
            let out = command.output().expect("tshark runs");
            assert!(
                out.status.success(),
                "tshark: {}",
                String::from_utf8_lossy(&out.stderr)
            );
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            text.lines()
                .map(|line| line.trim().to_owned())
                .collect::<Vec<_>>()
        };
        let messages = tshark("sip", &["sip.Method", "sip.Status-Code"]);
        // 0x800000 is the severity `error`
        let complaints = tshark(
            "_ws.malformed || _ws.expert.severity >= 0x800000",
            &["frame.number", "_ws.expert.message"],
        );
        (messages, complaints)
    }

    /// The classic file format, link type raw IPv4.
    fn pcap(&self) -> Vec<u8> {
        let mut file = Vec::new();
        file.extend(0xa1b2_c3d4_u32.to_le_bytes());
        file.extend([2, 0, 4, 0]);
        file.extend([0; 8]);
        file.extend(65535_u32.to_le_bytes());
        file.extend(228_u32.to_le_bytes());
        for (second, packet) in (1_u32..).zip(&self.packets) {
            let length = u32::try_from(packet.len()).expect("a packet's length");
            file.extend(second.to_le_bytes());
            file.extend([0; 4]);
            file.extend(length.to_le_bytes());
            file.extend(length.to_le_bytes());
            file.extend(packet);
        }
        file
    }
}
