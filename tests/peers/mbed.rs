//! mbed TLS as a reader of private keys.
//! Knows nothing of what it should say of them.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{common::Outcome, site::Site};

/// A program that reads a key.
pub struct Mbed(PathBuf);

impl Mbed {
    /// Compiles it into this directory.
    #[track_caller]
    pub fn compiled(site: &Site) -> Self {
        fs::write(site.path("mbed.c"), PROGRAM).expect("a program");
        site.tool("cc -Wall -Werror -o mbed mbed.c -lmbedcrypto").succeeds();
        Self(site.path("mbed"))
    }

    /// What it says of a file.
    pub fn reads(&self, site: &Site, file: &str, passphrase: &str) -> Outcome {
        let mut child = Command::new(&self.0)
            .arg(site.path(file))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program that was compiled");
        writeln!(child.stdin.take().expect("its input"), "{passphrase}").expect("a reader");
        let output = child.wait_with_output().expect("its end");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let line = format!("mbed {file}");
        Outcome { line, status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// Reads a key as `OpenVPN` with mbed TLS does (`ssl_mbedtls.c`, `tls_ctx_load_priv_file`), the passphrase from its input.
const PROGRAM: &str = r#"
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    mbedtls_pk_context key;
    char line[256];
    if (argc != 2 || !fgets(line, sizeof line, stdin))
        return 2;
    line[strcspn(line, "\n")] = 0;
    mbedtls_pk_init(&key);
    int code = mbedtls_pk_parse_keyfile(&key, argv[1], line);
    printf("mbed TLS %s: ", MBEDTLS_VERSION_STRING);
    if (code == 0)
        printf("%s %u\n", mbedtls_pk_get_name(&key), (unsigned) mbedtls_pk_get_bitlen(&key));
    else
        printf("-0x%04x\n", (unsigned) -code);
    return code != 0;
}
"#;
