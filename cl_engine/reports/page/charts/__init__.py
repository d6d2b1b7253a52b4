"""The page's charts: Vega-Lite specifications in the page's own colours, drawn as SVG when the page is written."""
