"""The words that `parse` knows of each language: what means Positive or Negative, what denies, what is plain.

A plain word may stand around a label without changing what it says; a word that is nowhere here
makes the parser give up, and so does every word that denies. Words of kit.toml come on top of the labels'.
"""

from __future__ import annotations

# Behind + and - words for Positive and Negative, behind ! denials, behind = plain words; _ is a blank inside.
_LANGUAGES = """
English: + positive - negative ! not no non nor neither never none nothing nobody nowhere without cannot isnt
arent wasnt werent dont doesnt didnt cant wont wouldnt couldnt shouldnt aint nope nay hardly barely scarcely
rarely seldom lack lacks lacking lacked opposite anything far than instead rather unlikely wrong incorrect
incorrectly false falsely mistaken mistake mistakenly doubt doubtful fails failed refuse reject rejects avoid
excludes except less least fake is_as be_as was_as untrue invalid improbable anti counter cross sarcastic
sarcastically ironic ironically error = the this that it its it's it’s that's here's here_is a an of in on is
was been review text sentence tweet comment post message feedback statement passage content article headline
paragraph input reviewer customer author writer user speaker overall clearly definitely very quite really
strongly overwhelmingly generally mostly primarily predominantly largely highly extremely obviously certainly
undoubtedly likely probably distinctly classified labeled labelled categorized categorised rated considered
deemed identified tagged marked annotated expresses expressed conveys conveyed shows reflects indicates
indicated carries has my our i we i'd_say i_would i_think i_believe classify label_it rate_it as based_on
given provided above following so sure okay ok of_course in_nature in_tone appropriate correct best
most_appropriate most_likely most_suitable right belongs_to falls_under falls_into predicted assigned assign
choose chosen select selected pick say go_with to_be seems_to_be appears_to_be can_be_classified
can_be_categorized should_be_classified should_be_labeled should_be reviewer's review's be_classified
be_labeled no_doubt there_is_no_doubt_that without_doubt without_question no_question under provided_text
would_be_classified you_provided for_this for_the analysis one response_is
French: + positif positive positifs - négatif négative negatif négatifs ! pas ne n ni jamais aucun aucune
sans peu guère nullement loin rien plutôt non faux moins contraire = le la les cette cet ce c'est c’est est
et_est critique l'avis avis texte phrase commentaire message très tout_à_fait clairement globalement
l'ensemble du de la_phrase ton exprime un une l'étiquette considéré comme classé plutot_bien
Spanish: + positivo positiva positivos positivas - negativo negativa negativos negativas ! nunca tampoco
ningún ninguna ninguno jamás nada sin poco ni lejos falso menos apenas contrario carece = el la los esta este
esto es reseña opinión texto frase comentario mensaje muy claramente en general del de una un expresa crítica
tono clasifica como considera
Portuguese: + positivo positiva - negativo negativa ! não nao nem nunca jamais nada sem pouco nenhum nenhuma
longe tampouco falso menos contrário = o a os esta este isto é avaliação opinião texto frase comentário
mensagem muito claramente geral da do de uma um expressa crítica tom resenha análise
Italian: + positivo positiva - negativo negativa ! non mai né senza poco nulla niente affatto nessun nessuna
neppure nemmeno lontano falso meno contrario = il la lo questa questo è recensione testo frase commento
messaggio molto chiaramente del della di una un l'opinione
German: + positiv positive positiver positiven positivem - negativ negative negativer negativen negativem !
nicht nichts kein keine keinen keiner keinem keines keineswegs nie niemals weder ohne kaum wenig falsch
niemand mitnichten nirgends unwahrscheinlich gegenteil weniger noch nein = die der das dieser diese dieses
ist bewertung rezension text satz kommentar nachricht sehr eindeutig insgesamt des eine ein einen wird als
eingestuft klar ganz lautet stimmungslage drückt
Dutch: + positief positieve - negatief negatieve ! niet nooit geen noch zonder nauwelijks weinig niets nee
nergens verre onwaarschijnlijk fout minder = de het deze dit is recensie beoordeling tekst zin bericht
opmerking zeer heel erg duidelijk van een wordt als
Swedish_Danish_and_Norwegian: + positiv positivt positiva positive - negativ negativt negativa negative !
inte ej icke aldrig ingen inget inga utan knappast varken ingenting nej ikke aldri intet uden næppe hverken
uten neppe verken nei långt langt mindre fel forkert feil föga lite = recensionen är den det denna detta
texten meningen kommentaren mycket tydligt en ett anmeldelsen er denne dette teksten sætningen meget klart
tydelig et anmeldelse omtalen setningen veldig stemningen stemning känslan
Polish: + pozytywny pozytywna pozytywne - negatywny negatywna negatywne ! nie nigdy bez żaden żadna żadne ani
niczego nic mało wcale brak daleko = ta ten to jest recenzja opinia tekst zdanie komentarz bardzo wyraźnie
tej
Russian_and_Ukrainian: + положительный положительная положительное положительно позитивный позитивная
позитивное позитивно позитивний позитивна позитивне - отрицательный отрицательная отрицательное отрицательно
негативный негативная негативное негативно негативний негативна негативне ! не нет ни никогда нельзя без вряд
едва ничего нисколько мало неверно отнюдь ні ніколи немає нема жодного навряд зовсім менее неправда нікуди =
отзыв это этот эта текст предложение комментарий сообщение очень явно в_целом является этого отзыва имеет
відгук це цей ця коментар речення дуже є
Greek: + θετικό θετική θετικός θετικά - αρνητικό αρνητική αρνητικός αρνητικά ! δεν μη μην όχι ούτε ποτέ χωρίς
καθόλου τίποτα καμία κανένα λίγο = η το ο αυτή αυτό κριτική κείμενο πρόταση σχόλιο είναι πολύ σαφώς της του
Turkish: + olumlu pozitif olumludur pozitiftir - olumsuz negatif olumsuzdur negatiftir ! değil değildir yok
hiç asla olmayan hayır ne yoktur hiçbir sayılmaz denemez olamaz olmaz az = bu yorum metin cümle çok oldukça
bir yorumun metnin cümlenin genel olarak açıkça duygusu
Indonesian_and_Malay: + positif - negatif ! tidak bukan tak belum tanpa jangan kurang tiada bukanlah tidaklah
jarang hampir mustahil = ini itu ulasan teks kalimat komentar adalah sangat bersifat termasuk yang
secara_keseluruhan ialah merupakan sentimen_dari ayat
Vietnamese: + tích_cực - tiêu_cực ! không chẳng chả chưa đừng phi ít thiếu chớ đâu khó = này đánh_giá
bình_luận câu văn_bản là rất mang tính có cảm_xúc mang_tính
Arabic: + إيجابي إيجابية ايجابي ايجابية الإيجابي - سلبي سلبية السلبي ! ليس ليست لا لم لن غير ما بدون عدم
ليسوا دون بلا لست كلا أبدا قط = هذا هذه المراجعة التعليق النص الجملة التقييم هو هي جدا جداً مراجعة تعليق
المشاعر
Persian: + مثبت - منفی ! نیست نه نیستند نبود بدون هیچ هرگز نمی نمیباشد غیر نا نمی‌شود نمی‌باشد نخواهد نشد کم
= این نظر متن جمله است بسیار خیلی می‌باشد دیدگاه یک نظرات
Urdu: + مثبت - منفی ! نہیں نہ نہی مت غیر بغیر ہرگز بنا کبھی کم = یہ تبصرہ جائزہ متن جملہ ہے بہت ایک اس کا کی
Hebrew: + חיובי חיובית - שלילי שלילית ! לא אין אינו אינה איננו בלי ללא מעולם אל לאו פחות = הביקורת הטקסט
המשפט התגובה הזו הזה היא הוא מאוד זה זו
Hindi_Nepali_Bodo: + सकारात्मक पॉज़िटिव पॉजिटिव पाज़िटिव पजिटिभ पोजिटिव - नकारात्मक नेगेटिव निगेटिव नेगेटिभ !
नहीं नही नहिं नहि न ना मत गैर ग़ैर बिना नङा नङ छैन होइन छैनन् हैन थिएन नभएको कभी कम कदापि नगण्य बगैर अभाव =
यह ये इस समीक्षा टिप्पणी वाक्य पाठ है हैं बहुत की का के एक स्पष्ट_रूप_से यो हो धेरै छ समग्र में इसकी
Marathi: + सकारात्मक - नकारात्मक ! नाही नाहीये नव्हे नव्हता नव्हती नव्हते नसून नाहीत नको विना नाहीच = हे ही
हा आहे पुनरावलोकन परीक्षण अभिप्राय वाक्य खूप या
Romanised_Hindi: + sakaratmak - nakaratmak ! nahi nahin nahii nai na mat bina bilkul_nahi kabhi nhi nhin kam
= yeh ye review hai bahut ek is ka ki sentence ka_sentiment
Bengali_and_Assamese: + ইতিবাচক সদর্থক ধনাত্মক পজিটিভ পজেটিভ - নেতিবাচক নঞৰ্থক নঞর্থক ঋণাত্মক নেগেটিভ ! নয়
নহয় নাই না নেই নি কখনও অ কম বিনা ছাড়া নন নহই ন = এই এটি এটা পর্যালোচনাটি পর্যালোচনা মন্তব্যটি মন্তব্য
বাক্যটি রিভিউটি রিভিউ খুব খুবই একটি এইটো মন্তব্যটো হয় বাক্যটো হৈছে
Odia: + ସକାରାତ୍ମକ ପଜିଟିଭ ପଜିଟିଭ୍ ପୋଜିଟିଭ୍ - ନକାରାତ୍ମକ ନେଗେଟିଭ ନେଗେଟିଭ୍ ! ନୁହେଁ ନୁହେ ନାହିଁ ନାହି ନା ନୁହଁ
ନାହାନ୍ତି ବିନା ନୁହନ୍ତି ନଥିଲା କମ = ଏହି ଏହା ସମୀକ୍ଷା ମନ୍ତବ୍ୟ ବାକ୍ୟ ଅଟେ ବହୁତ ଏକ ଏହାର ଅଛି
Gujarati: + હકારાત્મક સકારાત્મક પોઝિટિવ પોઝીટીવ - નકારાત્મક નેગેટિવ નેગેટીવ ! નથી નહીં નહિ ના ન નહોતું નહોતી
વિના વગર ક્યારેય નહી ઓછું = આ સમીક્ષા ટિપ્પણી વાક્ય છે ખૂબ એક
Punjabi: + ਸਕਾਰਾਤਮਕ ਸਕਾਰਾਤਮਿਕ ਪਾਜ਼ਿਟਿਵ ਪਾਜ਼ੀਟਿਵ ਪੌਜ਼ਿਟਿਵ - ਨਕਾਰਾਤਮਕ ਨਕਾਰਾਤਮਿਕ ਨੈਗੇਟਿਵ ਨੇਗੇਟਿਵ ! ਨਹੀਂ ਨਹੀ ਨਾ
ਨਹੀਓਂ ਬਿਨਾਂ ਕਦੇ ਗੈਰ ਨਾਂ ਘੱਟ = ਇਹ ਸਮੀਖਿਆ ਟਿੱਪਣੀ ਵਾਕ ਹੈ ਬਹੁਤ ਇੱਕ ਇਸ ਦੀ
Kannada: + ಸಕಾರಾತ್ಮಕ ಸಕಾರಾತ್ಮಕವಾಗಿದೆ ಸಕಾರಾತ್ಮಕವಾದ ಧನಾತ್ಮಕ ಪಾಸಿಟಿವ್ ಪಾಸಿಟೀವ್ - ನಕಾರಾತ್ಮಕ ನಕಾರಾತ್ಮಕವಾಗಿದೆ
ನಕಾರಾತ್ಮಕವಾದ ಋಣಾತ್ಮಕ ನೆಗೆಟಿವ್ ನೆಗೆಟೀವ್ ! ಅಲ್ಲ ಇಲ್ಲ ಅಲ್ಲದ ಇಲ್ಲದ ಬೇಡ ಅಲ್ಲವೇ ಆಗಿಲ್ಲ ಎಂದಿಗೂ ಕಡಿಮೆ ಹೊರತು = ಈ ಇದು
ವಿಮರ್ಶೆ ವಾಕ್ಯ ಕಾಮೆಂಟ್ ಆಗಿದೆ ತುಂಬಾ ಒಂದು
Malayalam: + പോസിറ്റീവ് പോസിറ്റീവാണ് അനുകൂലം സകാരാത്മകം സകാരാത്മക - നെഗറ്റീവ് നെഗറ്റീവാണ് പ്രതികൂലം
നിഷേധാത്മകം നകാരാത്മകം നകാരാത്മക ! അല്ല ഇല്ല അല്ലാത്ത ഇല്ലാത്ത അല്ലേ അരുത് ഒരിക്കലും കുറവ് അല്ലെങ്കിൽ = ഈ ഇത്
അവലോകനം വാക്യം അഭിപ്രായം ആണ് വളരെ ഒരു
Tamil: + நேர்மறை நேர்மறையான நேர்மறையானது பாசிட்டிவ் பாசிடிவ் - எதிர்மறை எதிர்மறையான எதிர்மறையானது நெகட்டிவ்
நெகடிவ் ! அல்ல இல்லை இல்லாத அல்லாத இல்ல ஒருபோதும் குறைவு அன்று = இது இந்த விமர்சனம் வாக்கியம் கருத்து மிகவும்
ஒரு ஆகும் உள்ளது
Telugu: + సానుకూలం సానుకూల సానుకూలమైన సానుకూలమైనది సానుకూలంగా పాజిటివ్ - ప్రతికూలం ప్రతికూల ప్రతికూలమైన
ప్రతికూలమైనది ప్రతికూలంగా నెగటివ్ నెగెటివ్ ! కాదు లేదు కాని లేని కావు లేవు ఎప్పుడూ లేదా తక్కువ కాకుండా = ఈ
ఇది సమీక్ష వాక్యం వ్యాఖ్య ఉంది చాలా ఒక
Chinese: + 积极 積極 正面 正向 好评 好評 - 消极 消極 负面 負面 负向 負向 差评 差評 ! 不 没 沒 非 未 无 無 否
并非 並非 难 難 毫无 毫無 别 不是 不能 谈不上 称不上 算不上 假 = 这 這 这是 這是 新闻 新聞 文章 条 條 段 句
句话 句話 篇 个 個 评论 評論 文本 评价 評價 文字 内容 是 为 為 属于 屬於 非常 很 明显 明顯 的 一条 一條 一个
整体 整體 倾向 傾向 表达 表達 了 该 該 我 认为 認為 态度 態度 应该是 被 归类 分类为 分類為 上 毫无疑问
毫無疑問 无疑 無疑
Japanese: + ポジティブ 肯定的 好意的 - ネガティブ 否定的 ! ない ません ではない じゃない なく ず ぬ 無 不 非
逆 まい なかった いえ いいえ = この レビュー 文 文章 テキスト コメント は です である とても 非常に な の 的
だ これ で に が 感想 内容 分類されます 分類 されます ます 評価
Korean: + 긍정 긍정적 긍정적입니다 긍정적인 긍정적이다 긍정입니다 - 부정 부정적 부정적입니다 부정적인
부정적이다 부정입니다 ! 아니다 아닙니다 않다 않습니다 않은 않는 않음 아님 없다 없음 없습니다 안 못 아닌
아니요 아니에요 아니라 않아요 아니고 = 이 리뷰는 리뷰 이것은 문장은 문장 텍스트는 댓글은 매우 아주 전체적으로
내용은 평가는 평가 평가입니다 리뷰입니다
Thai: + เชิงบวก บวก แง่บวก - เชิงลบ ลบ แง่ลบ ! ไม่ ไม่ใช่ มิใช่ มิ ไร้ ไม่ได้ ปราศจาก หา อย่า ไม่มี น้อย =
นี้ รีวิว ข้อความ ประโยค ความคิดเห็น เป็น มาก อย่าง ชัดเจน มี ความ คือ ที่ ใน ครับ ค่ะ
"""


def _set(text: str) -> frozenset[str]:
    return frozenset(word.replace("_", " ") for word in text.split())


def _by_sign() -> dict[str, list[str]]:
    by_sign: dict[str, list[str]] = {sign: [] for sign in "+-!="}
    sign = ""
    for word in _LANGUAGES.split():
        if word in by_sign:
            sign = word
        elif not word.endswith(":"):
            by_sign[sign].append(word.replace("_", " "))
    return by_sign


_BY_SIGN = _by_sign()
SENTIMENT = {"positive": _BY_SIGN["+"], "negative": _BY_SIGN["-"]}
DENIES, PLAIN = _BY_SIGN["!"], _BY_SIGN["="]

VERDICT = _set("""
label labels answer verdict classification prediction category class result output decision judgment
judgement response étiquette réponse catégorie etiqueta respuesta categoría clasificación resposta
classificação rótulo risposta etichetta classificazione antwort kategorie klassifizierung klassifikation
antwoord categorie svar svaret etikett klassificering odpowiedź kategoria ответ класс категория метка
відповідь категорія απάντηση cevap etiket sınıf jawaban kategori nhãn câu_trả_lời الإجابة التصنيف الفئة تصنيف
پاسخ برچسب دسته جواب תשובה סיווג उत्तर लेबल वर्गीकरण जवाब উত্তর লেবেল ଉତ୍ତର જવાબ ਜਵਾਬ ಉತ್ತರ ഉത്തരം பதில்
సమాధానం 答案 标签 標籤 分类 分類 类别 類別 ラベル 回答 答え 레이블 라벨 답변 정답 답 分类结果 คำตอบ ป้ายกำกับ
""")
"""Nouns for the thing that was asked for; with a colon or a verb they mark the answer."""

TOPIC = _set("""
topic sentiment tone polarity emotion sentimento sentimiento tonalité polarité stimmung polarität polaridad
polaridade sentiment_analysis sentyment nastrój тональность настроение тональність συναίσθημα duygu sentimen
cảm_xúc المشاعر الشعور احساس احساسات جذبات רגש סנטימנט भावना भाव ভাবনা অনুভূতি ଭାବନା લાગણી ભાવના ਭਾਵਨਾ ಭಾವನೆ
വികാരം உணர்வு భావన 情感 情绪 情緒 情感倾向 情感分类 感情 극성 감정 감성 ความรู้สึก stemning känsla
sentimentet
""")
FINAL = _set("""
final overall verdict conclusion finally conclusively in_conclusion in_summary globalement en_résumé
conclusión conclusão conclusione fazit insgesamt gesamt samlet sammantaget wniosek итог вывод итого висновок
συμπέρασμα sonuç kesimpulan kết_luận الخلاصة نتیجه نتیجہ מסקנה निष्कर्ष সিদ্ধান্ত 结论 結論 总体 總體 总结
结果 結果 最终 最終 결론 최종 전체 สรุป
""")
"""Words of a last word: what they mark outweighs what stands before."""

CONCLUDES = _set("""
so therefore thus hence consequently donc ainsi por_lo_tanto portanto quindi daher deshalb folglich dus
därför därfor derfor więc dlatego поэтому следовательно тому άρα bu_nedenle oleh_karena_itu jadi vì_vậy لذلك
بنابراین لہذا לכן इसलिए অতএব તેથી ਇਸ_ਲਈ അതിനാൽ எனவே కాబట్టి 所以 因此 よって したがって 따라서 ดังนั้น
""")
CAUSES = _set("""
because since due_to as_the as_it as_they as_there as_this given_that car parce_que porque ya_que pois perché
poiché weil da denn omdat eftersom fordi ponieważ потому так_как оскільки επειδή çünkü karena vì لأن زیرا
کیونکہ כי क्योंकि কারণ કારણ_કે ਕਿਉਂਕਿ ಏಕೆಂದರೆ കാരണം ஏனெனில் ఎందుకంటే 因为 因為 ので から 때문에 왜냐하면
เพราะ
""")
HEDGES = _set("""
if unless whether hard difficult impossible tricky tough or either both but however although though maybe
perhaps might could may would mixed neutral between unclear unsure uncertain ambiguous depends only question
suppose imagine were somewhat partly even except when until ou si mais peut-être pero aunque quizás mas
talvez se ma forse oder aber wenn ob vielleicht wäre könnte sowohl maar als_of misschien eller men om kanske
måske kanskje lub ale czy jeśli może или но если может ли або але якщо чи ή αλλά αν ίσως ya_da veya ama eğer
mi mı belki mu atau tapi tetapi jika kalau apakah mungkin hoặc nhưng nếu أو لكن إذا هل ربما لو یا اما اگر آیا
شاید لیکن או אבל אם האם אולי या लेकिन अगर यदि क्या शायद मगर कि वा तर किंवा पण जर বা কিন্তু যদি কি নাকি হয়তো
ବା କିନ୍ତୁ ଯଦି କି અથવા પણ જો શું ਜਾਂ ਪਰ ਜੇ ਕੀ ಅಥವಾ ಆದರೆ ಅಥವ ಇಲ್ಲವೇ അഥവാ പക്ഷേ എങ്കിൽ அல்லது ஆனால் லేదా కానీ
అయితే 或 或者 还是 還是 但 但是 如果 吗 嗎 可能 也许 是否 か または もし しかし かも でも 또는 하지만 만약
아마 หรือ แต่ ถ้า ไหม อาจ
""")
"""What leaves a label open: alternatives, conditions, contrast."""

RETRACTS = _set("""
ignore disregard changed update updated edit edited take_that_back take_it_back second_thought second_look
on_reflection changed_my_mind change_my_mind withdraw revise revised wait actually scratch correction wrong
incorrect incorrectly mistake mistaken false hmm kidding joking joke opposite untrue sorry outweigh outweighs
dominate reconsider reconsidering retract instead oops inaccurate misread error disagree invalid
""")
EXPLAINS = _set("""
reason explanation rationale justification reasoning analysis evidence because note explain why thought
thoughts step raison explication razón explicación motivo explicação spiegazione begründung erklärung причина
объяснение alasan कारण व्याख्या 理由 原因 解释 分析 説明
""")
"""Headers of prose that may name the other label."""

ASPECTS = _set("""
aspect aspects point points word words comment comments remark remarks element elements experience
experiences thing things side sides connotation connotations term terms feature features emotions feeling
feelings phrase phrases part parts language note notes detail details
""")
KNOWN = (
    RETRACTS
    | EXPLAINS
    | ASPECTS
    | _set("""
confidence high low and to for with was were are by at from their they he she you he's there all any some
such more also which who what can will about into while despite good bad great love loves loved like likes
liked hate poor excellent happy unhappy praise praises praised complains complaint satisfied dissatisfied
disappointed disappointment enjoyed price staff food service product hotel me him her his them these those am
do does did had have been being words word express describes described uses used mentions mentioned
indicating towards toward regarding concerning expressing et dans pour avec que qui des il elle y con para
por su sus e com em und mit für sich auf den dem er sie en och med för som på og til i w z na и в на с что он
она у з що και με για ve ile için dan dengan untuk yang و في من على که از در اور سے نے में से और ने को পর এবং
করে
""")
)
"""Common words that show in which language an explanation is written; in a statement they are not plain."""
INTENSE = _set("""
very extremely highly strongly quite really sehr très muy molto muito बहुत 非常 很 とても 매우 очень çok
""")
"""Words that make a label stronger: plain, but where a label such as Very Positive is in the set."""
ASKS = _set("is are was were does do did should would can could isn't")
"""Verbs that, in front of a sentence, make a question."""
COMMANDS = _set("classify choose select pick say assign label_it rate_it go_with")
"""Verbs that, in front, repeat the task."""
NUMBERED = _set("label class category is as")
"""Words behind which a number or a letter is a label, and no count."""
VAGUE = {*DENIES, "other", "same", "both", "all", "any"}
"""Labels that are also common words: read only alone or behind a mark."""
SUBJECTS = _set("i we my our you to in")
"""Words that make a verb or a thing of the label behind them: `I love this review`."""
DETERMINERS = _set("likely the a an this that it its my our i we you")
"""Words that, right behind a label, make a verb or a guess of it."""
DANGLES = _set("it that the a an of in on as is to for this so very")
"""Words after which a sentence goes on: where one stops there, it was cut short."""
HANGUL_ENDINGS = ("입니다", "임", "이다", "이에요", "예요")
"""Endings that make a sentence of a Korean noun."""
TOWARDS = _set("towards toward about regarding concerning")

CROSSES = "✗✘✕✖☒❌❎☐□◯○⚪⬜🔲🚫⛔👎🙅🤥☆≠¬⊘⊗"
"""Marks that cross a label out, or an empty box in front of it."""
