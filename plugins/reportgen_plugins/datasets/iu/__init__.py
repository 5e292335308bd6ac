"""Where the studies of IU X-Ray are, in which of its copies, and how each paper splits them."""
