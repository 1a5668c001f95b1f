//! The table of supported lines.

use super::*;

/// Checks the changed fields and the entries.
#[track_caller]
fn check(lines: &str, expected: Value, expected_entries: &[&str]) {
    let image = customize(lines).unwrap_or_else(|error| panic!("{lines}: {error}"));
    assert_eq!(changes(&image), expected, "{lines}");
    assert_eq!(entries(&image), expected_entries, "{lines}");
}

#[track_caller]
fn check_config(lines: &str, expected: Value) {
    check(lines, expected, &[]);
}

#[track_caller]
fn check_files(lines: &str, expected: &[&str]) {
    check(lines, json!({}), expected);
}

#[test]
fn variables_and_labels() {
    let env = |more: &[&str]| {
        let all: Vec<&str> =
            ["PATH=/usr/bin", "A=one", "EMPTY="].into_iter().chain(more.iter().copied()).collect();
        json!({"Env": all})
    };
    check_config("ENV B=2", env(&["B=2"]));
    check_config("env B=2 C=\"x y\" D='$A' E=a\\ b", env(&["B=2", "C=x y", "D=$A", "E=a b"]));
    check_config("ENV B two words  here ", env(&["B=two words  here"]));
    check_config("ENV B=2 \\\n  # a comment\n\n  C=3", env(&["B=2", "C=3"]));
    check_config("ENV B=$A-${A}-${MISSING:-none}-\\$A", env(&["B=one-one-none-$A"]));
    // All values of a line see the variables before it.
    check_config(
        "ENV A=two B=$A\nENV C=$A",
        json!({"Env": ["PATH=/usr/bin", "A=two", "EMPTY=", "B=one", "C=two"]}),
    );
    check_config("ENV PATH=/opt/bin:$PATH", json!({"Env": ["PATH=/opt/bin:/usr/bin", "A=one", "EMPTY="]}));
    check_config("ENV $A=1", env(&["one=1"]));
    check_config("ENV B=", env(&["B="]));
    check_config("ENV B=a=b", env(&["B=a=b"]));
    check_config("ENV B=\"é\u{1f600}\"", env(&["B=é\u{1f600}"]));
    check_config("LABEL c=3 a=\"one $A\"", json!({"Labels": {"a": "one one", "b": "2", "c": "3"}}));
    check_config(
        "LABEL \"com.example.x\"=\"a b\"",
        json!({"Labels": {"a": "1", "b": "2", "com.example.x": "a b"}}),
    );
    check_config("LABEL c three words", json!({"Labels": {"a": "1", "b": "2", "c": "three words"}}));
    check_config("LABEL c=3\nLABEL c=4", json!({"Labels": {"a": "1", "b": "2", "c": "4"}}));
}

#[test]
fn volumes_ports_users_and_signals() {
    check_config("VOLUME /vault/file", json!({"Volumes": {"/data": {}, "/vault/file": {}}}));
    check_config("VOLUME /x /y", json!({"Volumes": {"/data": {}, "/x": {}, "/y": {}}}));
    check_config("VOLUME [\"/x y\", \"/$A\"]", json!({"Volumes": {"/data": {}, "/x y": {}, "/one": {}}}));
    check_config("VOLUME /data", json!({}));
    check_config("EXPOSE 8080", json!({"ExposedPorts": {"80/tcp": {}, "8080/tcp": {}}}));
    check_config("EXPOSE 53/UDP 80/tcp", json!({"ExposedPorts": {"80/tcp": {}, "53/udp": {}}}));
    check_config("EXPOSE 90-91", json!({"ExposedPorts": {"80/tcp": {}, "90/tcp": {}, "91/tcp": {}}}));
    check_config(
        "ENV P=81\nEXPOSE $P",
        json!({
            "Env": ["PATH=/usr/bin", "A=one", "EMPTY=", "P=81"], "ExposedPorts": {"80/tcp": {}, "81/tcp": {}},
        }),
    );
    check_config("USER 1000:1000", json!({"User": "1000:1000"}));
    check_config("USER app", json!({"User": "app"}));
    check_config("USER ${MISSING:-$A}", json!({"User": "one"}));
    check_config("STOPSIGNAL SIGQUIT", json!({"StopSignal": "SIGQUIT"}));
    check_config("STOPSIGNAL 9", json!({"StopSignal": "9"}));
}

#[test]
fn commands_and_health_checks() {
    check_config("CMD [\"a\", \"b c\"]", json!({"Cmd": ["a", "b c"]}));
    check_config("CMD echo $A \"b\"", json!({"Cmd": ["/bin/sh", "-c", "echo $A \"b\""]}));
    check_config("CMD echo a && \\\n    echo b", json!({"Cmd": ["/bin/sh", "-c", "echo a &&     echo b"]}));
    check_config("CMD []", json!({"Cmd": []}));
    // Not JSON: Docker uses the shell form.
    check_config("CMD ['a']", json!({"Cmd": ["/bin/sh", "-c", "['a']"]}));
    check_config("ENTRYPOINT [\"/x\"]", json!({"Entrypoint": ["/x"], "Cmd": null}));
    check_config("ENTRYPOINT exec /x", json!({"Entrypoint": ["/bin/sh", "-c", "exec /x"], "Cmd": null}));
    check_config("CMD [\"c\"]\nENTRYPOINT [\"/x\"]", json!({"Entrypoint": ["/x"], "Cmd": ["c"]}));
    check_config("ENTRYPOINT [\"/x\"]\nCMD [\"c\"]", json!({"Entrypoint": ["/x"], "Cmd": ["c"]}));
    check_config(
        "HEALTHCHECK CMD curl -f http://localhost/",
        json!({
            "Healthcheck": {"Test": ["CMD-SHELL", "curl -f http://localhost/"]},
        }),
    );
    check_config(
        "HEALTHCHECK --interval=30s --timeout=1m30s --start-period=5s --start-interval=1s --retries=3 CMD [\"/c\"]",
        json!({"Healthcheck": {
            "Test": ["CMD", "/c"], "Interval": 30_000_000_000u64, "Timeout": 90_000_000_000u64,
            "StartPeriod": 5_000_000_000u64, "StartInterval": 1_000_000_000, "Retries": 3,
        }}),
    );
    check_config("HEALTHCHECK NONE", json!({"Healthcheck": {"Test": ["NONE"]}}));
}

#[test]
fn working_directories() {
    check("WORKDIR /app", json!({"WorkingDir": "/app"}), &["d 755 0:0 app/"]);
    check("WORKDIR sub/dir", json!({"WorkingDir": "/srv/app/sub/dir"}), &["d 755 0:0 srv/app/sub/dir/"]);
    check(
        "WORKDIR /a\nWORKDIR b\nWORKDIR ../c/./",
        json!({"WorkingDir": "/a/c"}),
        &["d 755 0:0 a/", "d 755 0:0 a/b/", "d 755 0:0 a/c/"],
    );
    check_config("WORKDIR /srv/app", json!({}));
    // Standard directories of the base keep their mode.
    check_config("WORKDIR /tmp", json!({"WorkingDir": "/tmp"}));
    check_config("WORKDIR /bin", json!({"WorkingDir": "/bin"}));
    check("WORKDIR \"/a b\"", json!({"WorkingDir": "/a b"}), &["d 755 0:0 a b/"]);
}

#[test]
fn files() {
    check_files("RUN mkdir -p /vault/file", &["d 755 0:0 vault/file/"]);
    check_files("RUN mkdir -p /vault/file && chmod 777 /vault/file", &["d 777 0:0 vault/file/"]);
    check_files("RUN mkdir -m 0700 /vault", &["d 700 0:0 vault/"]);
    check_files("RUN mkdir -pm 1777 /a /b", &["d 1777 0:0 a/", "d 1777 0:0 b/"]);
    check_files("RUN mkdir --parents --mode=700 -- /a/-b", &["d 700 0:0 a/-b/"]);
    check_files("RUN mkdir /a && mkdir /a/b", &["d 755 0:0 a/", "d 755 0:0 a/b/"]);
    check_files("RUN mkdir -p /a/b && mkdir /a/c", &["d 755 0:0 a/b/", "d 755 0:0 a/c/"]);
    check_files("RUN [\"mkdir\", \"-p\", \"/a b\"]", &["d 755 0:0 a b/"]);
    check_files("RUN mkdir -p data", &["d 755 0:0 srv/app/data/"]);
    check_files("RUN mkdir -p /tmp /var/lib/x", &["d 755 0:0 var/lib/x/"]);
    check_files("RUN mkdir -p /x/$A", &["d 755 0:0 x/one/"]);
    check_files("RUN touch /etc/x /a", &["f 644 0:0 a \"\"", "f 644 0:0 etc/x \"\""]);
    check_files("RUN mkdir -p /a/b && touch /a", &["d 755 0:0 a/b/"]);
    check_files("RUN touch /a && chmod 600 /a && chown 5:6 /a", &["f 600 5:6 a \"\""]);
    check_files(
        "RUN mkdir -p /a && touch /a/x /b && chmod -R 700 /a && chown -R 7 /a",
        &["d 700 7:0 a/", "f 700 7:0 a/x \"\"", "f 644 0:0 b \"\""],
    );
    check_files("RUN touch /a && chown :9 /a", &["f 644 0:9 a \"\""]);
    check_files("RUN ln -s ../x /a/b", &["l 777 0:0 a/b ../x"]);
    check_files("RUN ln -s /x /a && ln -sf /y /a", &["l 777 0:0 a /y"]);
    check(
        "USER 1000:1001\nRUN mkdir -p /a\nUSER app\nRUN touch /b",
        json!({"User": "app"}),
        &["d 755 1000:1001 a/", "f 644 0:0 b \"\""],
    );
    check_files(
        "COPY <<EOF /etc/app.conf\na=$A\nb=\\$A '$A'\nEOF",
        &["f 644 0:0 etc/app.conf \"a=one\\nb=$A 'one'\\n\""],
    );
    check_files("COPY <<'EOF' /x\na=$A \\n\nEOF", &["f 644 0:0 x \"a=$A \\\\n\\n\""]);
    check_files(
        "COPY --chmod=0755 --chown=1000:1001 <<-EOF app.sh\n\tx\n\tEOF",
        &["f 755 1000:1001 srv/app/app.sh \"x\\n\""],
    );
    check_files("COPY --chown=1000 <<EOF /x\nEOF", &["f 644 1000:1000 x \"\""]);
    check_files("COPY <<EOF /x\na\nEOF\nCOPY <<EOF /x\nb\nEOF", &["f 644 0:0 x \"b\\n\""]);
    // Entries are sorted, and directories above them have none.
    check(
        "RUN touch /z\nWORKDIR /w\nRUN mkdir -p b/c /a/b/c",
        json!({"WorkingDir": "/w"}),
        &["d 755 0:0 a/b/c/", "d 755 0:0 w/", "d 755 0:0 w/b/c/", "f 644 0:0 z \"\""],
    );
    let long = format!("/{}/{}", "d".repeat(200), "f".repeat(200));
    check_files(&format!("RUN touch {long}"), &[&format!("f 644 0:0 {} \"\"", &long[1..])]);
    check_files(&format!("RUN ln -s {long} /a"), &[&format!("l 777 0:0 a {long}")]);
}
