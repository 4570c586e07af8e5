//! The `sluice` binary: see [`proxy_user::cli`].

fn main() -> std::process::ExitCode {
    proxy_user::cli::main()
}
