"""The words that `parse` knows: what means Positive or Negative in each language, and what denies.

Data only. Words of kit.toml come on top; a word that is not here is no label.
"""

from __future__ import annotations

SENTIMENT: dict[str, tuple[str, ...]] = {
    "positive": (
        *("positive", "positif", "positivo", "positiva", "positiv", "positiver", "positiven"),
        *("积极", "積極", "正面", "正向", "好评", "好評"),  # Chinese
        *("सकारात्मक", "पॉज़िटिव", "पॉजिटिव", "पाज़िटिव", "पजिटिभ"),  # Hindi, Marathi, Bodo
        *("ইতিবাচক", "সদর্থক", "ধনাত্মক", "পজিটিভ", "পজেটিভ"),  # Bengali, Assamese
        *("હકારાત્મક", "સકારાત્મક", "પોઝિટિવ", "પોઝીટીવ"),  # Gujarati
        *("ಸಕಾರಾತ್ಮಕ", "ಸಕಾರಾತ್ಮಕವಾಗಿದೆ", "ಸಕಾರಾತ್ಮಕವಾದ", "ಧನಾತ್ಮಕ", "ಪಾಸಿಟಿವ್", "ಪಾಸಿಟೀವ್"),  # Kannada
        *("പോസിറ്റീവ്", "പോസിറ്റീവാണ്", "അനുകൂലം", "സകാരാത്മകം", "സകാരാത്മക"),  # Malayalam
        *("ସକାରାତ୍ମକ", "ପଜିଟିଭ", "ପଜିଟିଭ୍", "ପୋଜିଟିଭ୍"),  # Odia
        *("ਸਕਾਰਾਤਮਕ", "ਸਕਾਰਾਤਮਿਕ", "ਪਾਜ਼ਿਟਿਵ", "ਪਾਜ਼ੀਟਿਵ", "ਪੌਜ਼ਿਟਿਵ"),  # Punjabi
        *("நேர்மறை", "நேர்மறையான", "நேர்மறையானது", "பாசிட்டிவ்", "பாசிடிவ்"),  # Tamil
        *("సానుకూలం", "సానుకూల", "సానుకూలమైన", "సానుకూలమైనది", "సానుకూలంగా", "పాజిటివ్"),  # Telugu
        "مثبت",  # Urdu
    ),
    "negative": (
        *("negative", "négatif", "négative", "negatif", "negativo", "negativa", "negativ", "negativer"),
        *("negativen", "消极", "消極", "负面", "負面", "负向", "負向", "差评", "差評"),
        *("नकारात्मक", "नेगेटिव", "निगेटिव", "नेगेटिभ"),
        *("নেতিবাচক", "নঞৰ্থক", "নঞর্থক", "ঋণাত্মক", "নেগেটিভ"),
        *("નકારાત્મક", "નેગેટિવ", "નેગેટીવ"),
        *("ನಕಾರಾತ್ಮಕ", "ನಕಾರಾತ್ಮಕವಾಗಿದೆ", "ನಕಾರಾತ್ಮಕವಾದ", "ಋಣಾತ್ಮಕ", "ನೆಗೆಟಿವ್", "ನೆಗೆಟೀವ್"),
        *("നെഗറ്റീവ്", "നെഗറ്റീവാണ്", "പ്രതികൂലം", "നിഷേധാത്മകം", "നകാരാത്മകം", "നകാരാത്മക"),
        *("ନକାରାତ୍ମକ", "ନେଗେଟିଭ", "ନେଗେଟିଭ୍"),
        *("ਨਕਾਰਾਤਮਕ", "ਨਕਾਰਾਤਮਿਕ", "ਨੈਗੇਟਿਵ", "ਨੇਗੇਟਿਵ"),
        *("எதிர்மறை", "எதிர்மறையான", "எதிர்மறையானது", "நெகட்டிவ்", "நெகடிவ்"),
        *("ప్రతికూలం", "ప్రతికూల", "ప్రతికూలమైన", "ప్రతికూలమైనది", "ప్రతికూలంగా", "నెగటివ్", "నెగెటివ్"),
        "منفی",
    ),
}

NEGATION_BEHIND = frozenset(
    {
        *("नहीं", "नही", "नाही", "नाहीये", "नव्हे", "नव्हता", "नव्हती", "नङा", "नङ"),
        *("নয়", "নহয়", "নাই", "না", "নেই", "નથી", "નહીં", "નહિ", "ના"),
        *("ಅಲ್ಲ", "ಇಲ್ಲ", "അല്ല", "ഇല്ല", "ନୁହେଁ", "ନୁହେ", "ନାହିଁ", "ਨਹੀਂ", "ਨਹੀ"),
        *("அல்ல", "இல்லை", "కాదు", "లేదు", "نہیں", "نہ", "नहि"),
    }
)
"""Denials of languages whose verb comes last; they deny a label in front of them, or one behind them."""

NEGATION = NEGATION_BEHIND | {
    *("not", "no", "non", "nor", "neither", "never", "none", "nothing", "nobody", "without", "cannot"),
    *("isnt", "arent", "wasnt", "werent", "dont", "doesnt", "didnt", "cant", "wont", "wouldnt", "couldnt"),
    *("hardly", "barely", "scarcely", "rarely", "seldom", "lacks", "lacking", "opposite", "anything"),
    *("far", "than", "instead", "whether", "unclear", "unsure", "uncertain", "doubt"),
    *("pas", "ne", "ni", "jamais", "aucun", "aucune", "sans"),  # French
    *("nunca", "tampoco", "ningún", "ninguna", "jamás"),  # Spanish
    *("nicht", "kein", "keine", "keinen", "keiner", "keineswegs", "nie", "weder", "ohne", "kaum"),  # German
    *("不", "没", "沒", "非", "未", "无", "無", "否"),  # Chinese
    *("न", "ना", "गैर", "ग़ैर", "غیر"),  # Hindi, Urdu
}
"""Denials; each denies a label behind it in its clause."""

AFFIRMED = frozenset({"doubt", "only", "question"})
"""What turns a denial in front of it into none: no doubt, not only, without question."""

HAN_OTHER = (
    *("正面临", "正面臨", "正面对", "正面對", "非常", "不错", "不錯", "不仅", "不僅", "不但", "不过", "不過"),
    *(
        "不少",
        "不管",
        "不同",
        "没错",
        "沒錯",
        "没问题",
        "沒問題",
        "无疑",
        "無疑",
        "未来",
        "未來",
        "正负面",
        "正負面",
    ),
)
"""Chinese words that hold a label or a denial in their writing but not in their meaning."""
