// connect NAME PORT COUNT: a connection by TcpStream::connect, COUNT times.

use std::{env, net::TcpStream};

fn main() -> std::io::Result<()> {
    let args: Vec<String> = env::args().collect();
    for _ in 0..args[3].parse().unwrap() {
        TcpStream::connect(format!("{}:{}", args[1], args[2]))?;
    }
    Ok(())
}
