"""Hold the parts that all pages share: colours, print rules, keyboard helpers, a band with the origin."""
