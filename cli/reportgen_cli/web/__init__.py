"""Hold the parts that all our servers share: tokens, hosts, headers, JSON bodies, pages with a policy."""
