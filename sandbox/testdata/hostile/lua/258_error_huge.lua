error(("alice@example.com "):rep(2e5), 2)
