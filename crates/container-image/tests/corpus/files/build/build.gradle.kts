jib {
    from { image = "node:22-bookworm" }
    to {
        image = "ghcr.io/acme/jib:1.0"
        auth { username = "ci" }
    }
}
