"""A blind reading study: people score reports beside their radiographs without knowing who wrote them."""
