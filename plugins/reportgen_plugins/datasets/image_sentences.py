"""Select the sentences of a clinical note that describe a chest radiograph, by a rule of words.

If a note has headings, only "Imaging notes" is used. A sentence is selected if it has a word for something that a
radiograph shows, and no word for another examination, the history or the treatment. Such a simple rule leaves out too
much rather than too little: a sentence that describes both the history and the image is left out.
"""

from __future__ import annotations

import re

from reportgen_core.text.recipes import split_sentences

_SHOWN = re.compile(
    r"""\b(?:opaci|opaque|radiopa|consolidat|infiltrat|ground|effusion|pneumothora|atelecta|o?edema|cardiomegal|nodul
    |interstiti|thicken|reticul|hila|perihila|infrahila|cavit|blunt|costophrenic|emphysem|lucen|hyperinfl|mediastin
    |silhouette|cardiac|heart|lungs?\b|pulmonary|lobes?\b|lobar|multilobar|zones?\b|midzones?\b|bronchogram|bronchi
    |(?:hemi)?diaphragm|pleura|bibasal|basal|congesti|vascular|unremarkable|tube|catheter|pacemaker|sternotom|fibro
    |scar|patch|haz|shadow|dens|mass|lesion|ribs?\b|bone|normal|radiograph|x-?rays?\b|cxr|peripheral)""",
    re.VERBOSE | re.IGNORECASE,
)
_NOT_SHOWN = re.compile(
    r"""\b(?:
    (?:ct|ccta|hrct|mri|ecg|ekg|us|pcr|rt-?pcr|ecmo|icu|bal|mg|ml|l|mmhg|yo|y/o|crp|ldh|he|she|his|her|arrow|arrows)\b
    |tomogra|ultraso|echo|electrocardio|scans?\b|year|months?\b|weeks?\b|ago\b|previous|follow|serial|day
    |present(?:s|ed|ing|ation)\b|admi(?:t|ssion)|histor|fever|febrile|cough|dyspn|breath|symptom|swab|laborator|blood
    |serum|tests?\b|tested|cultur|treat|therap|antibio|steroid|ventilat|oxygen|satur|hospital|discharg|died|death|travel
    |contact|wuhan|case|patient|m[ae]n\b|wom[ae]n\b|male|female|son\b|husband|wife|diagnos|discussion|spo2|biops|dose
    |drug|auscult|leuko|lymphoc|receiv|reported|physical|exam|suffer|chemo|surg|operat|cancer|transplant|covid|sars|virus|viral|courtesy
    |if\b|may\b|could\b|should\b|untreated|range\b|levels?\b|count\b|shown\b|figure|image|axial|coronal|sagittal|microscop|cells?\b|drain|insert|transfer|isolat)""",
    re.VERBOSE | re.IGNORECASE,
)
_HEADINGS = re.compile(r"\b(Presentation|Imaging notes?|Discussion)\s*:", re.IGNORECASE)
_FIGURE = re.compile(r"\s*\([^()]*\b[Ff]ig(?:ure|s)?\b[^()]*\)")  # "(Fig. 2, label E)"
_PANEL = re.compile(r"^(?:\(?[A-Ha-h](?:\s*[,-]\s*[A-Ha-h])*\)|[A-H],|[b-hB-H](?= [A-Z])|a(?= [A-Z]))\s*")  # "(a) "


def describes_the_image(sentence: str) -> bool:
    """Return whether a sentence describes a chest radiograph."""
    return len(sentence.split()) > 1 and bool(_SHOWN.search(sentence)) and not _NOT_SHOWN.search(sentence)


def describing(notes: str) -> str:
    """Return the sentences of a note that describe the image, as one text."""
    pieces = _HEADINGS.split(_FIGURE.sub("", notes))
    headed = dict(zip((h.lower().rstrip("s") for h in pieces[1::2]), pieces[2::2], strict=True))
    text = headed.get("imaging note", "") if headed else pieces[0]
    sentences = (_PANEL.sub("", s).strip(" .;:") for s in split_sentences(text))
    return " ".join(f"{s[0].upper()}{s[1:]}." for s in sentences if describes_the_image(s))
