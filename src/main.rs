//! The program: arguments in, an exit code out. Everything else is in the library.

fn main() -> std::process::ExitCode {
    vpnpki::cli::main()
}
