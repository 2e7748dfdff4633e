//! Who listens at a port, where the system tells: on Linux, of this user's own processes.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// A socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// The process that listens at a port: its name as the system knows it, and its id.
pub(super) fn at(address: SocketAddr) -> Option<(String, u32)> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, address.port()))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let has_it = fs::read_dir(process.path().join("fd")).ok()?.flatten().any(|descriptor| {
            fs::read_link(descriptor.path())
                .is_ok_and(|target| sockets.iter().any(|socket| Path::new(socket) == target))
        });
        let name = has_it.then(|| fs::read_to_string(process.path().join("comm")).ok()).flatten()?;
        Some((name.trim().to_owned(), pid))
    })
}

/// The inodes of the sockets in a table that listen at a port.
fn listening(table: &str, port: u16) -> Vec<String> {
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let at = u16::from_str_radix(address.rsplit(':').next()?, 16).ok()?;
        (*state == LISTENS && at == port).then(|| (*inode).to_owned())
    };
    table.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sockets_that_listen_at_a_port_are_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n\
             1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1\n\
             2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713 1\n";
        assert_eq!(listening(table, 0x1F90), ["4711"]);
        assert_eq!(listening(table, 1), [""; 0]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_found_where_it_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (_, pid) = at(listener.local_addr().unwrap()).unwrap();
        assert_eq!(pid, std::process::id());
    }
}
